"""What verification costs: measured, priced, and compared with what made the plans."""
