-- compatible: 1

-- Each purpose has locks of its own: 0 to 255 are those of families, then come
-- users, codes and counters.
INSERT INTO auth_locks (slot)
WITH RECURSIVE numbers (n) AS (SELECT 256 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1023)
SELECT n FROM numbers;
