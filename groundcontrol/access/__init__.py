"""Users, sessions, tokens, second factors, rate limits."""
