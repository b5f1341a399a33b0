"""The plugin's entry in krew's index: a template, what fills it, and the rules it is held against."""
