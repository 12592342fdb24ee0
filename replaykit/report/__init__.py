"""Reports: one file for each format, from data to text. They never see the engine."""
