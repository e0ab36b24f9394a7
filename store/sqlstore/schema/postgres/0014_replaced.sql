-- compatible: 1

-- The indexes that step 13 replaces. Programs from before this step sort the tokens of a list
-- until they are replaced. By hand, these belong into one transaction, which takes milliseconds.
DROP INDEX IF EXISTS auth_tokens_listed;
DROP INDEX IF EXISTS auth_tokens_created;
DROP INDEX IF EXISTS auth_tokens_modified;
DROP INDEX IF EXISTS auth_tokens_expiring;
DROP INDEX IF EXISTS auth_tokens_issued;
DROP INDEX IF EXISTS auth_tokens_every;
ALTER INDEX auth_tokens_new_listed RENAME TO auth_tokens_listed;
ALTER INDEX auth_tokens_new_created RENAME TO auth_tokens_created;
ALTER INDEX auth_tokens_new_modified RENAME TO auth_tokens_modified;
ALTER INDEX auth_tokens_new_expiring RENAME TO auth_tokens_expiring;
ALTER INDEX auth_tokens_new_issued RENAME TO auth_tokens_issued;
ALTER INDEX auth_tokens_new_every RENAME TO auth_tokens_every;
