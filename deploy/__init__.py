"""What operators deploy with, where it is made from the code."""
