"""Ways of checking what a model wrote, from a regular expression to rendered physics; each dearer, and seeing more."""
