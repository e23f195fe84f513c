"""Who may do what: accounts, sessions, roles, CSRF, headers, bounds of requests and of login attempts."""
