"""Does another engine give the verdicts of MuJoCo C: fields, one control step, whole verdicts."""
