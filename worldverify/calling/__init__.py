"""Plans that models write as calls of functions: read, never executed."""
