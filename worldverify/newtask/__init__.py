"""The command new-task: from somebody's scene to a first task that is checked."""
