"""What can be wrong: symptoms, one mechanism per cause, links between symptoms, and the assessment."""
