SELECT
  exposure.arm_id,
  exposure.at - exposure.at % 86400000000 AS anon_1,
  COUNT(*) AS count_1,
  SUM(CASE WHEN (
    exposure.crossover_at <= 1777507200000000
  ) THEN 1 ELSE 0 END) AS sum_1,
  MIN(exposure.at) AS min_1,
  MAX(exposure.at) AS max_1
FROM exposure
WHERE
  exposure.experiment_id = 1
  AND exposure.phase = 1
  AND exposure.at <= 1777507200000000
GROUP BY
  exposure.arm_id,
  exposure.at - exposure.at % 86400000000;

SELECT
  exposure.arm_id,
  outcome.event_id,
  COUNT(*) AS count_1
FROM exposure
JOIN outcome
  ON outcome.visitor_id = exposure.visitor_id
WHERE
  exposure.experiment_id = 1
  AND exposure.phase = 1
  AND exposure.at <= 1777507200000000
  AND outcome.at <= 1777507200000000
  AND (
    outcome.event_id = 2
    AND outcome.at >= exposure.at + 0
    AND outcome.at < exposure.at + 1209600000000
    OR outcome.event_id = 2
    AND outcome.at >= exposure.at + 0
    AND outcome.at < exposure.at + 604800000000
  )
GROUP BY
  exposure.arm_id,
  outcome.event_id;

SELECT
  moved.arm_id,
  COUNT(*) AS count_1,
  SUM(moved.x0) AS sum_1,
  SUM(moved.x1) AS sum_2,
  SUM(moved.x0 * moved.x0 * moved.x0) AS sum_3,
  SUM(moved.x1 * moved.x1 * moved.x1) AS sum_4,
  SUM(moved.x0 * moved.x0) AS sum_5,
  SUM(moved.x1 * moved.x1) AS sum_6
FROM (
  SELECT
    visitors.arm_id AS arm_id,
    visitors.visitor_id % 256 AS part,
    visitors.x0 AS x0,
    visitors.x1 AS x1
  FROM (
    SELECT
      exposure.arm_id AS arm_id,
      exposure.visitor_id AS visitor_id,
      MAX(
        CASE
          WHEN (
            outcome.outcome_id IS NOT NULL AND outcome.event_id = 2
          )
          THEN CAST(1.0 AS DOUBLE)
          ELSE CAST(0.0 AS DOUBLE)
        END
      ) AS x0,
      SUM(
        CASE
          WHEN (
            outcome.outcome_id IS NOT NULL AND outcome.event_id = 2
          )
          THEN CAST(COALESCE(outcome.value, 0) AS DOUBLE) - CAST(COALESCE(outcome.cost, 0) AS DOUBLE)
          ELSE CAST(0.0 AS DOUBLE)
        END
      ) AS x1
    FROM exposure
    LEFT OUTER JOIN outcome
      ON outcome.visitor_id = exposure.visitor_id
      AND outcome.at >= exposure.at + 0
      AND outcome.at < exposure.at + 604800000000
      AND outcome.at <= 1777507200000000
      AND outcome.event_id = 2
    WHERE
      exposure.experiment_id = 1
      AND exposure.phase = 1
      AND exposure.at <= 1776902400000000
    GROUP BY
      exposure.visitor_id,
      exposure.arm_id
  ) AS visitors
) AS moved
GROUP BY
  moved.arm_id,
  moved.part;

SELECT
  moved.arm_id,
  COUNT(*) AS count_1,
  SUM(moved.x0) AS sum_1,
  SUM(moved.x1) AS sum_2,
  SUM(moved.x2) AS sum_3,
  SUM(moved.x0 * moved.x0 * moved.x0) AS sum_4,
  SUM(moved.x1 * moved.x1 * moved.x1) AS sum_5,
  SUM(moved.x2 * moved.x2 * moved.x2) AS sum_6,
  SUM(moved.x0 * moved.x0) AS sum_7,
  SUM(moved.x0 * moved.x1) AS sum_8,
  SUM(moved.x0 * moved.x2) AS sum_9,
  SUM(moved.x1 * moved.x1) AS sum_10,
  SUM(moved.x1 * moved.x2) AS sum_11,
  SUM(moved.x2 * moved.x2) AS sum_12
FROM (
  SELECT
    visitors.arm_id AS arm_id,
    visitors.visitor_id % 256 AS part,
    visitors.x0 AS x0,
    visitors.x1 AS x1,
    visitors.x2 AS x2
  FROM (
    SELECT
      exposure.arm_id AS arm_id,
      exposure.visitor_id AS visitor_id,
      SUM(
        CASE
          WHEN (
            outcome.outcome_id IS NOT NULL AND outcome.event_id = 2
          )
          THEN CAST(COALESCE(outcome.value, 0) AS DOUBLE)
          ELSE CAST(0.0 AS DOUBLE)
        END
      ) AS x0,
      COALESCE(MAX(covariate0.value), CAST(0.0 AS DOUBLE)) AS x1,
      CASE
        WHEN (
          MAX(covariate0.value) IS NULL
        )
        THEN CAST(1.0 AS DOUBLE)
        ELSE CAST(0.0 AS DOUBLE)
      END AS x2
    FROM exposure
    LEFT OUTER JOIN outcome
      ON outcome.visitor_id = exposure.visitor_id
      AND outcome.at >= exposure.at + 0
      AND outcome.at < exposure.at + 1209600000000
      AND outcome.at <= 1777507200000000
      AND outcome.event_id = 2
    LEFT OUTER JOIN covariate AS covariate0
      ON covariate0.name_id = 1
      AND covariate0.visitor_id = exposure.visitor_id
      AND covariate0.at = (
        SELECT
          MAX(covariate.at) AS max_1
        FROM covariate
        WHERE
          covariate.name_id = 1
          AND covariate.visitor_id = exposure.visitor_id
          AND covariate.at <= exposure.at
          AND covariate.at >= exposure.at - 2592000000000
      )
    WHERE
      exposure.experiment_id = 1
      AND exposure.phase = 1
      AND exposure.at <= 1776297600000000
    GROUP BY
      exposure.visitor_id,
      exposure.arm_id
  ) AS visitors
) AS moved
GROUP BY
  moved.arm_id,
  moved.part;
