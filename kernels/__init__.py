"""Arrays in, arrays out: folds, trust checks, kinematics, inverse kinematics, and one file per engine."""
