SELECT
  rows.*,
  cells.probability AS probability,
  CASE
    WHEN cells.probability >= 0.5e0
    THEN 1
    WHEN NOT cells.probability IS NULL
    THEN 0
  END AS decision,
  cells.reason AS reason
FROM "(select 1)" AS rows
CROSS JOIN LATERAL (
  SELECT
    CASE
      WHEN cells.reason IS NULL
      THEN 1.0e0 / (
        1.0e0 + EXP(
          LEAST(
            GREATEST(
              -(
                -3.1958101588183876e0 + CASE cells."buying"
                  WHEN 'vhigh'
                  THEN -1.6325576377698798e0
                  WHEN 'high'
                  THEN -0.6988413205001811e0
                  WHEN 'med'
                  THEN 1.1002800186018713e0
                  WHEN 'low'
                  THEN 1.2309258132891583e0
                  ELSE 0.0e0
                END + CASE cells."maint"
                  WHEN 'vhigh'
                  THEN -1.766000852874109e0
                  WHEN 'high'
                  THEN -0.3280907438818508e0
                  WHEN 'med'
                  THEN 1.1055683891929304e0
                  WHEN 'low'
                  THEN 0.9883304645970625e0
                  ELSE 0.0e0
                END + CASE cells."doors"
                  WHEN '2'
                  THEN -0.8946364552469452e0
                  WHEN '3'
                  THEN 0.018201425460428015e0
                  WHEN '4'
                  THEN 0.29014612931311956e0
                  WHEN '5more'
                  THEN 0.5860962864519492e0
                  ELSE 0.0e0
                END + CASE cells."persons"
                  WHEN '2'
                  THEN -4.382967182965667e0
                  WHEN '4'
                  THEN 2.262586017591961e0
                  WHEN 'more'
                  THEN 2.1201872235723416e0
                  ELSE 0.0e0
                END + CASE cells."lug_boot"
                  WHEN 'small'
                  THEN -1.154138675642184e0
                  WHEN 'med'
                  THEN 0.286662480172995e0
                  WHEN 'big'
                  THEN 0.8672840790775341e0
                  ELSE 0.0e0
                END + CASE cells."safety"
                  WHEN 'low'
                  THEN -4.275027966692183e0
                  WHEN 'med'
                  THEN 1.3021301034060635e0
                  WHEN 'high'
                  THEN 2.9727059234137085e0
                  ELSE 0.0e0
                END
              ),
              -700.0e0
            ),
            700.0e0
          )
        )
      )
    END AS "probability",
    cells.*
  FROM (
    SELECT
      NULLIF(
        SUBSTRING(
          (
            CASE
              WHEN CASE cells."buying"
                WHEN ''
                THEN TRUE
                WHEN '?'
                THEN TRUE
                WHEN 'N/A'
                THEN TRUE
                WHEN 'NA'
                THEN TRUE
                WHEN 'NaN'
                THEN TRUE
                WHEN 'None'
                THEN TRUE
                WHEN 'nan'
                THEN TRUE
                WHEN 'null'
                THEN TRUE
                ELSE FALSE
              END
              THEN '; and column buying must not be missing'
              ELSE ''
            END || CASE
              WHEN NOT CASE cells."buying"
                WHEN ''
                THEN TRUE
                WHEN '?'
                THEN TRUE
                WHEN 'N/A'
                THEN TRUE
                WHEN 'NA'
                THEN TRUE
                WHEN 'NaN'
                THEN TRUE
                WHEN 'None'
                THEN TRUE
                WHEN 'nan'
                THEN TRUE
                WHEN 'null'
                THEN TRUE
                WHEN 'vhigh'
                THEN TRUE
                WHEN 'high'
                THEN TRUE
                WHEN 'med'
                THEN TRUE
                WHEN 'low'
                THEN TRUE
                ELSE FALSE
              END
              THEN '; and column buying must be one of vhigh, high, med, low'
              ELSE ''
            END || CASE
              WHEN CASE cells."maint"
                WHEN ''
                THEN TRUE
                WHEN '?'
                THEN TRUE
                WHEN 'N/A'
                THEN TRUE
                WHEN 'NA'
                THEN TRUE
                WHEN 'NaN'
                THEN TRUE
                WHEN 'None'
                THEN TRUE
                WHEN 'nan'
                THEN TRUE
                WHEN 'null'
                THEN TRUE
                ELSE FALSE
              END
              THEN '; and column maint must not be missing'
              ELSE ''
            END || CASE
              WHEN NOT CASE cells."maint"
                WHEN ''
                THEN TRUE
                WHEN '?'
                THEN TRUE
                WHEN 'N/A'
                THEN TRUE
                WHEN 'NA'
                THEN TRUE
                WHEN 'NaN'
                THEN TRUE
                WHEN 'None'
                THEN TRUE
                WHEN 'nan'
                THEN TRUE
                WHEN 'null'
                THEN TRUE
                WHEN 'vhigh'
                THEN TRUE
                WHEN 'high'
                THEN TRUE
                WHEN 'med'
                THEN TRUE
                WHEN 'low'
                THEN TRUE
                ELSE FALSE
              END
              THEN '; and column maint must be one of vhigh, high, med, low'
              ELSE ''
            END || CASE
              WHEN CASE cells."doors"
                WHEN ''
                THEN TRUE
                WHEN '?'
                THEN TRUE
                WHEN 'N/A'
                THEN TRUE
                WHEN 'NA'
                THEN TRUE
                WHEN 'NaN'
                THEN TRUE
                WHEN 'None'
                THEN TRUE
                WHEN 'nan'
                THEN TRUE
                WHEN 'null'
                THEN TRUE
                ELSE FALSE
              END
              THEN '; and column doors must not be missing'
              ELSE ''
            END || CASE
              WHEN NOT CASE cells."doors"
                WHEN ''
                THEN TRUE
                WHEN '?'
                THEN TRUE
                WHEN 'N/A'
                THEN TRUE
                WHEN 'NA'
                THEN TRUE
                WHEN 'NaN'
                THEN TRUE
                WHEN 'None'
                THEN TRUE
                WHEN 'nan'
                THEN TRUE
                WHEN 'null'
                THEN TRUE
                WHEN '2'
                THEN TRUE
                WHEN '3'
                THEN TRUE
                WHEN '4'
                THEN TRUE
                WHEN '5more'
                THEN TRUE
                ELSE FALSE
              END
              THEN '; and column doors must be one of 2, 3, 4, 5more'
              ELSE ''
            END || CASE
              WHEN CASE cells."persons"
                WHEN ''
                THEN TRUE
                WHEN '?'
                THEN TRUE
                WHEN 'N/A'
                THEN TRUE
                WHEN 'NA'
                THEN TRUE
                WHEN 'NaN'
                THEN TRUE
                WHEN 'None'
                THEN TRUE
                WHEN 'nan'
                THEN TRUE
                WHEN 'null'
                THEN TRUE
                ELSE FALSE
              END
              THEN '; and column persons must not be missing'
              ELSE ''
            END || CASE
              WHEN NOT CASE cells."persons"
                WHEN ''
                THEN TRUE
                WHEN '?'
                THEN TRUE
                WHEN 'N/A'
                THEN TRUE
                WHEN 'NA'
                THEN TRUE
                WHEN 'NaN'
                THEN TRUE
                WHEN 'None'
                THEN TRUE
                WHEN 'nan'
                THEN TRUE
                WHEN 'null'
                THEN TRUE
                WHEN '2'
                THEN TRUE
                WHEN '4'
                THEN TRUE
                WHEN 'more'
                THEN TRUE
                ELSE FALSE
              END
              THEN '; and column persons must be one of 2, 4, more'
              ELSE ''
            END || CASE
              WHEN CASE cells."lug_boot"
                WHEN ''
                THEN TRUE
                WHEN '?'
                THEN TRUE
                WHEN 'N/A'
                THEN TRUE
                WHEN 'NA'
                THEN TRUE
                WHEN 'NaN'
                THEN TRUE
                WHEN 'None'
                THEN TRUE
                WHEN 'nan'
                THEN TRUE
                WHEN 'null'
                THEN TRUE
                ELSE FALSE
              END
              THEN '; and column lug_boot must not be missing'
              ELSE ''
            END || CASE
              WHEN NOT CASE cells."lug_boot"
                WHEN ''
                THEN TRUE
                WHEN '?'
                THEN TRUE
                WHEN 'N/A'
                THEN TRUE
                WHEN 'NA'
                THEN TRUE
                WHEN 'NaN'
                THEN TRUE
                WHEN 'None'
                THEN TRUE
                WHEN 'nan'
                THEN TRUE
                WHEN 'null'
                THEN TRUE
                WHEN 'small'
                THEN TRUE
                WHEN 'med'
                THEN TRUE
                WHEN 'big'
                THEN TRUE
                ELSE FALSE
              END
              THEN '; and column lug_boot must be one of small, med, big'
              ELSE ''
            END || CASE
              WHEN CASE cells."safety"
                WHEN ''
                THEN TRUE
                WHEN '?'
                THEN TRUE
                WHEN 'N/A'
                THEN TRUE
                WHEN 'NA'
                THEN TRUE
                WHEN 'NaN'
                THEN TRUE
                WHEN 'None'
                THEN TRUE
                WHEN 'nan'
                THEN TRUE
                WHEN 'null'
                THEN TRUE
                ELSE FALSE
              END
              THEN '; and column safety must not be missing'
              ELSE ''
            END || CASE
              WHEN NOT CASE cells."safety"
                WHEN ''
                THEN TRUE
                WHEN '?'
                THEN TRUE
                WHEN 'N/A'
                THEN TRUE
                WHEN 'NA'
                THEN TRUE
                WHEN 'NaN'
                THEN TRUE
                WHEN 'None'
                THEN TRUE
                WHEN 'nan'
                THEN TRUE
                WHEN 'null'
                THEN TRUE
                WHEN 'low'
                THEN TRUE
                WHEN 'med'
                THEN TRUE
                WHEN 'high'
                THEN TRUE
                ELSE FALSE
              END
              THEN '; and column safety must be one of low, med, high'
              ELSE ''
            END
          ),
          7
        ),
        ''
      ) AS "reason",
      cells.*
    FROM (
      SELECT
        COALESCE(CAST(rows."buying" AS TEXT), '') AS "buying",
        COALESCE(CAST(rows."maint" AS TEXT), '') AS "maint",
        COALESCE(CAST(rows."doors" AS TEXT), '') AS "doors",
        COALESCE(CAST(rows."persons" AS TEXT), '') AS "persons",
        COALESCE(CAST(rows."lug_boot" AS TEXT), '') AS "lug_boot",
        COALESCE(CAST(rows."safety" AS TEXT), '') AS "safety"
    ) AS cells
  ) AS cells
) AS cells;
