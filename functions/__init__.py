"""What Azure triggers: thin blueprints that parse, call a use case and answer. No rules, no SDK calls."""
