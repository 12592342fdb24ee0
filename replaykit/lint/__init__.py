"""What is wrong or suspicious in a model and its adapter, found without a service: one module for each family."""
