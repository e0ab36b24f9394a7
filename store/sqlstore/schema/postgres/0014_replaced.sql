-- compatible: 1

-- The indexes that step 13 replaces. A program from before this step goes on, and sorts the
-- tokens of a list for each page. By hand, run these in one transaction, which takes milliseconds.
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
