SELECT
  (
    subject.at - subject.at % 86400000000
  ) + subject.arm_id AS anon_1,
  MIN(subject.at) AS min_1,
  MAX(subject.at) AS max_1,
  COUNT(*) AS count_1,
  SUM(CASE WHEN (
    subject.crossover_at <= 1777507200000000
  ) THEN 1 ELSE 0 END) AS sum_1,
  SUM(CASE WHEN (
    subject.at <= 1776902400000000
  ) THEN 1 ELSE 0 END) AS sum_2,
  SUM(CASE WHEN (
    subject.at <= 1776297600000000
  ) THEN 1 ELSE 0 END) AS sum_3
FROM (
  SELECT
    exposure.experiment_id AS experiment_id,
    exposure.phase AS phase,
    exposure.visitor_id AS visitor_id,
    exposure.exposed_id AS exposed_id,
    exposure.arm_id AS arm_id,
    exposure.at AS at,
    exposure.crossover_at AS crossover_at,
    0 AS returned
  FROM (
    SELECT
      exposure.experiment_id AS experiment_id,
      exposure.phase AS phase,
      exposure.visitor_id AS visitor_id,
      exposure.visitor_id AS exposed_id,
      exposure.arm_id AS arm_id,
      exposure.at AS at,
      exposure.crossover_at AS crossover_at
    FROM exposure
  ) AS exposure
  WHERE
    exposure.experiment_id = 1
    AND exposure.phase = 1
    AND exposure.at <= 1777507200000000
) AS subject
GROUP BY
  (
    subject.at - subject.at % 86400000000
  ) + subject.arm_id;

SELECT
  moved.arm_id,
  SUM(moved.n0) AS sum_1,
  SUM(moved.unreported) AS sum_2,
  SUM(moved.w0) AS sum_3,
  SUM(moved.w1) AS sum_4,
  SUM(moved.x0) AS sum_5,
  SUM(moved.x1) AS sum_6,
  SUM(moved.x2) AS sum_7,
  SUM(moved.x3) AS sum_8,
  SUM(moved.x4) AS sum_9,
  SUM(moved.x0 * moved.x0 * moved.x0) AS sum_10,
  SUM(moved.x1 * moved.x1 * moved.x1) AS sum_11,
  SUM(moved.x2 * moved.x2 * moved.x2) AS sum_12,
  SUM(moved.x0 * moved.x0) AS sum_13,
  SUM(moved.x1 * moved.x1) AS sum_14,
  SUM(moved.x2 * moved.x2) AS sum_15,
  SUM(moved.x2 * moved.x3) AS sum_16,
  SUM(moved.x2 * moved.x4) AS sum_17
FROM (
  SELECT
    visitors.arm_id AS arm_id,
    visitors.visitor_id - visitors.visitor_id % 32768 AS part,
    visitors.n0 AS n0,
    visitors.unreported AS unreported,
    CASE WHEN (
      visitors.at <= 1776902400000000
    ) THEN 1 ELSE 0 END AS w0,
    CASE WHEN (
      visitors.at <= 1776297600000000
    ) THEN 1 ELSE 0 END AS w1,
    CASE
      WHEN (
        visitors.at <= 1776902400000000
      )
      THEN visitors.x0
      ELSE CAST(0.0 AS DOUBLE)
    END AS x0,
    CASE
      WHEN (
        visitors.at <= 1776902400000000
      )
      THEN visitors.x1
      ELSE CAST(0.0 AS DOUBLE)
    END AS x1,
    CASE
      WHEN (
        visitors.at <= 1776297600000000
      )
      THEN visitors.x2
      ELSE CAST(0.0 AS DOUBLE)
    END AS x2,
    CASE
      WHEN (
        visitors.at <= 1776297600000000
      )
      THEN COALESCE(value0.value, CAST(0.0 AS DOUBLE))
      ELSE CAST(0.0 AS DOUBLE)
    END AS x3,
    CASE
      WHEN (
        visitors.at <= 1776297600000000
      )
      THEN CASE
        WHEN (
          value0.value IS NULL
        )
        THEN CAST(1.0 AS DOUBLE)
        ELSE CAST(0.0 AS DOUBLE)
      END
      ELSE CAST(0.0 AS DOUBLE)
    END AS x4
  FROM (
    SELECT
      MIN(happened.arm_id) AS arm_id,
      happened.visitor_id AS visitor_id,
      MIN(happened.exposed_at) AS at,
      SUM(
        CASE
          WHEN (
            happened.event_id = 2
            AND happened.at < happened.exposed_at + 604800000000
            OR happened.event_id = 2
            AND happened.at < happened.exposed_at + 1209600000000
          )
          THEN 1
          ELSE 0
        END
      ) AS n0,
      SUM(
        CASE
          WHEN (
            (
              happened.event_id = 2
              AND happened.at < happened.exposed_at + 604800000000
              OR happened.event_id = 2
              AND happened.at < happened.exposed_at + 1209600000000
            )
            AND happened.unreported = 1
          )
          THEN 1
          ELSE 0
        END
      ) AS unreported,
      MAX(
        CASE
          WHEN (
            happened.event_id = 2 AND happened.at < happened.exposed_at + 604800000000
          )
          THEN CAST(1.0 AS DOUBLE)
          ELSE CAST(0.0 AS DOUBLE)
        END
      ) AS x0,
      SUM(
        CASE
          WHEN (
            happened.event_id = 2 AND happened.at < happened.exposed_at + 604800000000
          )
          THEN happened.value
          ELSE CAST(0.0 AS DOUBLE)
        END
      ) - SUM(
        CASE
          WHEN (
            happened.event_id = 2 AND happened.at < happened.exposed_at + 604800000000
          )
          THEN happened.cost
          ELSE CAST(0.0 AS DOUBLE)
        END
      ) AS x1,
      SUM(
        CASE
          WHEN (
            happened.event_id = 2 AND happened.at < happened.exposed_at + 1209600000000
          )
          THEN happened.value
          ELSE CAST(0.0 AS DOUBLE)
        END
      ) AS x2
    FROM (
      SELECT
        subject.arm_id AS arm_id,
        subject.visitor_id AS visitor_id,
        subject.at AS exposed_at,
        outcome.event_id AS event_id,
        outcome.at AS at,
        CAST(COALESCE(
          CASE
            WHEN (
              outcome.currency = 'EUR'
            )
            THEN outcome.value
            WHEN (
              outcome.value IS NOT NULL
              AND outcome.reporting_value IS NULL
              OR outcome.cost IS NOT NULL
              AND outcome.reporting_cost IS NULL
            )
            THEN NULL
            ELSE outcome.reporting_value
          END,
          0
        ) AS DOUBLE) AS value,
        CAST(COALESCE(
          CASE
            WHEN (
              outcome.currency = 'EUR'
            )
            THEN outcome.cost
            WHEN (
              outcome.value IS NOT NULL
              AND outcome.reporting_value IS NULL
              OR outcome.cost IS NOT NULL
              AND outcome.reporting_cost IS NULL
            )
            THEN NULL
            ELSE outcome.reporting_cost
          END,
          0
        ) AS DOUBLE) AS cost,
        CASE
          WHEN (
            outcome.currency = 'EUR'
          )
          THEN 0
          WHEN (
            outcome.value IS NOT NULL
            AND outcome.reporting_value IS NULL
            OR outcome.cost IS NOT NULL
            AND outcome.reporting_cost IS NULL
          )
          THEN 1
          ELSE 0
        END AS unreported
      FROM (
        SELECT
          exposure.experiment_id AS experiment_id,
          exposure.phase AS phase,
          exposure.visitor_id AS visitor_id,
          exposure.exposed_id AS exposed_id,
          exposure.arm_id AS arm_id,
          exposure.at AS at,
          exposure.crossover_at AS crossover_at,
          0 AS returned
        FROM (
          SELECT
            exposure.experiment_id AS experiment_id,
            exposure.phase AS phase,
            exposure.visitor_id AS visitor_id,
            exposure.visitor_id AS exposed_id,
            exposure.arm_id AS arm_id,
            exposure.at AS at,
            exposure.crossover_at AS crossover_at
          FROM exposure
        ) AS exposure
        WHERE
          exposure.experiment_id = 1
          AND exposure.phase = 1
          AND exposure.at <= 1777507200000000
      ) AS subject
      JOIN outcome
        ON outcome.visitor_id = subject.visitor_id
        AND outcome.event_id = 2
        AND outcome.at >= subject.at
        AND outcome.at <= 1777507200000000
    ) AS happened
    WHERE
      happened.event_id = 2
      AND happened.at < happened.exposed_at + 604800000000
      OR happened.event_id = 2
      AND happened.at < happened.exposed_at + 1209600000000
    GROUP BY
      happened.visitor_id
  ) AS visitors
  LEFT OUTER JOIN covariate AS value0
    ON value0.name_id = 1
    AND value0.visitor_id = visitors.visitor_id
    AND value0.at <= visitors.at
    AND value0.at >= visitors.at - 2592000000000
  LEFT OUTER JOIN covariate AS newer0
    ON newer0.name_id = 1
    AND newer0.visitor_id = visitors.visitor_id
    AND newer0.at <= visitors.at
    AND newer0.at > value0.at
  WHERE
    newer0.visitor_id IS NULL
) AS moved
GROUP BY
  moved.part,
  moved.arm_id;

SELECT
  moved.arm_id,
  SUM(moved.w0) AS sum_1,
  SUM(moved.x0) AS sum_2,
  SUM(moved.x0 * moved.x0) AS sum_3,
  SUM(moved.x0 * moved.x0 * moved.x0) AS sum_4
FROM (
  SELECT
    subject.arm_id AS arm_id,
    subject.visitor_id - subject.visitor_id % 32768 AS part,
    CASE WHEN (
      subject.at <= 1776297600000000
    ) THEN 1 ELSE 0 END AS w0,
    CASE
      WHEN (
        subject.at <= 1776297600000000
      )
      THEN value0.value
      ELSE CAST(0.0 AS DOUBLE)
    END AS x0
  FROM (
    SELECT
      exposure.experiment_id AS experiment_id,
      exposure.phase AS phase,
      exposure.visitor_id AS visitor_id,
      exposure.exposed_id AS exposed_id,
      exposure.arm_id AS arm_id,
      exposure.at AS at,
      exposure.crossover_at AS crossover_at,
      0 AS returned
    FROM (
      SELECT
        exposure.experiment_id AS experiment_id,
        exposure.phase AS phase,
        exposure.visitor_id AS visitor_id,
        exposure.visitor_id AS exposed_id,
        exposure.arm_id AS arm_id,
        exposure.at AS at,
        exposure.crossover_at AS crossover_at
      FROM exposure
    ) AS exposure
    WHERE
      exposure.experiment_id = 1
      AND exposure.phase = 1
      AND exposure.at <= 1777507200000000
  ) AS subject
  JOIN covariate AS value0
    ON value0.name_id = 1
    AND value0.visitor_id = subject.visitor_id
    AND value0.at <= subject.at
    AND value0.at >= subject.at - 2592000000000
  LEFT OUTER JOIN covariate AS newer0
    ON newer0.name_id = 1
    AND newer0.visitor_id = subject.visitor_id
    AND newer0.at <= subject.at
    AND newer0.at > value0.at
  WHERE
    newer0.visitor_id IS NULL
) AS moved
GROUP BY
  moved.part,
  moved.arm_id;
