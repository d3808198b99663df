-- An offer may name an address of e-mail at a provider instead of a user name: `username` is the address then, and `username_key` begins with
-- the issuer and a space, so that it is the name of nobody.
ALTER TABLE membership_offer ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
