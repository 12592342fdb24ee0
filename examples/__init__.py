"""Services with known bugs, and the models that find them."""
