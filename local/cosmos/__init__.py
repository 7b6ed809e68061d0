"""An emulator of Azure Cosmos DB for NoSQL (REST gateway protocol) on SQLite, for development and tests."""
