-- compatible: 1

-- Whether a confidential client must use PKCE. A program that does not know it asks
-- for none.
ALTER TABLE auth_applications ADD COLUMN require_pkce BOOLEAN NOT NULL DEFAULT FALSE;
