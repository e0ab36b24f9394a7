-- compatible: 1

-- The resource that an application stands for. A program that does not know it
-- lets no application introspect the tokens of others.
ALTER TABLE auth_applications ADD COLUMN resource TEXT NOT NULL DEFAULT '';
