-- compatible: 1

-- Named after the step of PostgreSQL. This has the rest of step 13.
-- Orders of the lists of users and applications.
CREATE INDEX IF NOT EXISTS auth_users_created ON auth_users (created_at, id_number, id);
CREATE INDEX IF NOT EXISTS auth_applications_name ON auth_applications (name);
CREATE INDEX IF NOT EXISTS auth_applications_created ON auth_applications (created_at);
CREATE INDEX IF NOT EXISTS auth_applications_modified ON auth_applications (modified_at);
