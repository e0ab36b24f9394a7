-- compatible: 1

-- Whether a user is a service account, which never logs in. A program that does not
-- know it finds no password, so that nobody logs in there either.
ALTER TABLE auth_users ADD COLUMN is_service BOOLEAN NOT NULL DEFAULT FALSE;
