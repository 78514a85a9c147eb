-- Of a CloudEvent that could not be read: by name, each value base64, as in the record.
ALTER TABLE deadletters ADD COLUMN IF NOT EXISTS headers Map(String, Nullable(String)) AFTER value;
