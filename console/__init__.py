"""The search console: services, search data, search test and publishing, as a web application."""
