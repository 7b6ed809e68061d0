"""The SQL of Cosmos DB for NoSQL: text -> syntax tree (parser) -> Python closures (expressions) -> pages (reader)."""
