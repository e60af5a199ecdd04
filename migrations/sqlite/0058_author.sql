-- Whose work a deployment is that a rule asked for: logins at GitHub that admins gave to accounts, and who began
-- the job that was given a token by a rule of trust ('' = nobody is named).

ALTER TABLE account ADD COLUMN github TEXT COLLATE NOCASE;
CREATE UNIQUE INDEX account_github ON account (github) WHERE github IS NOT NULL;
ALTER TABLE token ADD COLUMN job_actor TEXT NOT NULL DEFAULT '';
