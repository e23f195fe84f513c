"""A simulation of the loop: invented people search, choose with noise, and what was learned from it is measured."""
