"""The catalog in a database: services, null topics, their history, accounts and test queries."""
