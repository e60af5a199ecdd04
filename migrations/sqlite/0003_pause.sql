-- A paused deployment is live as well: there is still one of them per project and environment.
DROP INDEX deployment_live;
CREATE UNIQUE INDEX deployment_live ON deployment (project, environment)
    WHERE phase IN ('running', 'paused', 'rolling_back', 'needs_operator');
