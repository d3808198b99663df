-- With `sso_only`: the admin who may still log in with a password (the id of an account).
ALTER TABLE organisation ADD COLUMN local_admin TEXT NOT NULL DEFAULT '';
