"""How many plans a second are judged on this machine, on which device, and at what price."""
