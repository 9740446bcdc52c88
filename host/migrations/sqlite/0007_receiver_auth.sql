-- How an endpoint proves to its receiver who is calling: headers whose values are
-- secret, a login, a certificate and its key, authorities. JSON, sealed. Absent:
-- not at all.
ALTER TABLE endpoints ADD COLUMN access BLOB;
