"""What simulates: the choice among engines, whether one may judge here, and jobs that run on them."""
