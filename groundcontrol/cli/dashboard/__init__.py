"""The terminal dashboard of `stardust top`. Only that verb imports it."""
