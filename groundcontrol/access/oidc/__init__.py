"""Single sign-on: log-in through a provider that speaks OpenID Connect."""
