"""The packaged plugin, installed as krew would and run as kubectl would."""
