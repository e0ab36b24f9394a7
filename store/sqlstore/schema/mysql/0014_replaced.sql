-- compatible: 1

-- Named after the step of PostgreSQL. This has the rest of step 13.
-- Orders of the list of applications.
ALTER TABLE auth_applications
	ADD KEY auth_applications_name (name, id),
	ADD KEY auth_applications_created (created_at, id),
	ADD KEY auth_applications_modified (modified_at, id);
