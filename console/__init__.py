"""The search console: a web application in which the owners of a search edit, test and publish its catalog."""
