"""Sentences that no runbook is about, from all walks of life and from other corners of computing.

Each index measures how near these come to its passages; that is the level from which the gate counts.
"""

from __future__ import annotations

BACKGROUND: tuple[str, ...] = (
    "The bakery on the corner opens at seven and sells out of rye bread by noon.",
    "How often should I repot an orchid?",
    "She practised the cello for two hours before dinner.",
    "What is a good present for a ten year old who likes dinosaurs?",
    "The train to Vienna leaves from platform four.",
    "My knee clicks when I climb stairs.",
    "Could you proofread this cover letter?",
    "Who painted the ceiling of the Sistine Chapel?",
    "We need two litres of white paint for the hallway.",
    "Is it cheaper to lease or to buy a car?",
    "The match was abandoned because of heavy rain.",
    "Explain photosynthesis to a child.",
    "hello there",
    "thank you very much",
    "What year did the Berlin Wall fall?",
    "How do I get red wine out of a carpet?",
    "My laptop's fan is loud after the upgrade.",
    "The touchpad stops working when I plug in the charger.",
    "How do I merge two cells in a spreadsheet?",
    "Sort a list of dictionaries by a key in Python.",
    "What does the static keyword mean in Java?",
    "The phone's camera app closes by itself.",
    "How can I recover a deleted photo?",
    "Set up a virtual machine with VirtualBox on macOS.",
    "Registry key to disable the lock screen in Windows.",
    "The web shop's basket forgets its items in Safari.",
    "How do I rebase a feature branch onto main?",
    "Convert a video from mkv to mp4 with ffmpeg.",
    "What is the time complexity of quicksort?",
    "My router drops the connection every evening.",
    "LaTeX table is wider than the page.",
    "Compile error: expected semicolon before return.",
    "Docker on my laptop uses a lot of disk space.",
    "A cron expression for the first Monday of each month.",
    "vagrant up times out while waiting for ssh.",
    "How do I write a unit test for a private method?",
)

__all__ = ["BACKGROUND"]
