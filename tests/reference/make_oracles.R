# Numbers that the tests are held to, from metafor.
#
# Usage: Rscript tests/reference/make_oracles.R
# Writes oracles.json beside this script. All inputs are simulated here or written out here; no
# published table is copied. Needs the R packages metafor and jsonlite (Debian: r-cran-metafor,
# r-cran-jsonlite).

suppressPackageStartupMessages({
  library(metafor)
  library(jsonlite)
})

file_argument <- grep("^--file=", commandArgs(FALSE), value = TRUE)
here <- dirname(normalizePath(sub("^--file=", "", file_argument)))

# R 3.6 changed sample(); the kind is named so that every later R draws the same.
set.seed(20250101, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")

plain <- function(x) as.numeric(unname(x))

# ---- escalc: arm summaries to Hedges g and its large-sample variance ---------------------------

simulated_arms <- function(k) {
  n1 <- sample(2:12, k, replace = TRUE)
  n2 <- sample(2:12, k, replace = TRUE)
  sd1 <- rgamma(k, 4, 2)
  sd2 <- rgamma(k, 4, 2)
  data.frame(
    m1 = rnorm(k, 3, 4), sd1 = sd1, n1 = n1,
    m2 = rnorm(k, 0, 4), sd2 = sd2, n2 = n2
  )
}

# The corners: smallest groups, lopsided groups, no difference, effects of tens of standard
# deviations in both directions, large groups.
corner_arms <- data.frame(
  m1  = c(1.0, 2.5, 7.0, 0.0, 55.0, -60.0, 1e-3, 104.2,  3.1),
  sd1 = c(1.0, 0.5, 1.2, 1.0,  0.9,   1.1, 1e-4,  15.0,  2.0),
  n1  = c(  2,   2,  12,   6,    4,     3,    5,   250, 1000),
  m2  = c(0.0, 0.5, 1.0, 0.0,  1.0,   2.0, 2e-3, 100.0,  3.0),
  sd2 = c(2.0, 4.5, 3.4, 3.0,  1.4,   0.7, 3e-4,  14.0,  2.2),
  n2  = c(  2,  12,   2,   6,    5,     3,    8,   240,  900)
)

arms <- rbind(simulated_arms(60), corner_arms)
smd <- escalc("SMD", m1i = m1, sd1i = sd1, n1i = n1, m2i = m2, sd2i = sd2, n2i = n2,
              data = arms, vtype = "LS")
escalc_section <- list(
  call = "escalc('SMD', m1i, sd1i, n1i, m2i, sd2i, n2i, vtype='LS')",
  mean_treated = arms$m1, sd_treated = arms$sd1, n_treated = arms$n1,
  mean_control = arms$m2, sd_control = arms$sd2, n_control = arms$n2,
  y = plain(smd$yi), v = plain(smd$vi)
)

# ---- restricted log-likelihood and GLS at fixed variances ---------------------------------------

# 14 studies, 1 to 3 experiments each, 1 to 3 effects each; a moderator that varies between rows.
study <- rep(seq_len(14), times = sample(1:3, 14, replace = TRUE))
experiment_of <- ave(study, study, FUN = seq_along)
layout <- data.frame(study = study, experiment = experiment_of)
layout <- layout[rep(seq_len(nrow(layout)), times = sample(1:3, nrow(layout), replace = TRUE)), ]
layout$cluster <- paste(layout$study, layout$experiment, sep = "/")
rows <- nrow(layout)
layout$x <- round(runif(rows, 0, 4), 3)
layout$v <- round(rgamma(rows, 5, 10), 4)
truth <- 1.5 - 0.4 * layout$x + rnorm(14, 0, 1)[layout$study] +
  rnorm(length(unique(layout$cluster)), 0, 0.5)[as.integer(factor(layout$cluster))]
layout$y <- round(rnorm(rows, truth, sqrt(layout$v)), 4)
layout$id <- seq_len(rows)

# Compound symmetry by hand: rho sqrt(v_i v_j) within an experiment.
rho <- 0.5
same <- outer(layout$cluster, layout$cluster, "==")
V <- rho * same * sqrt(outer(layout$v, layout$v))
diag(V) <- layout$v

at_fixed <- function(fit) {
  list(log_likelihood = fit$fit.stats["ll", "REML"], beta = plain(fit$beta), se = plain(fit$se))
}

one_level <- lapply(c(0, 0.1, 0.5, 1, 2.5, 8), function(tau2) {
  fit <- rma(y, v, mods = ~ x, data = layout, method = "REML", tau2 = tau2)
  c(list(tau2 = tau2), at_fixed(fit))
})

grid <- expand.grid(study = c(0, 0.3, 1, 4), experiment = c(0, 0.2, 1.5))
two_levels <- lapply(seq_len(nrow(grid)), function(i) {
  sigma2 <- c(grid$study[i], grid$experiment[i])
  fit <- rma.mv(y, V, mods = ~ x, random = ~ 1 | study/experiment, data = layout,
                method = "REML", sigma2 = sigma2)
  c(list(sigma2_study = sigma2[1], sigma2_experiment = sigma2[2]), at_fixed(fit))
})

fixed_section <- list(
  note = paste(
    "restricted log-likelihoods are metafor's own, constant included:",
    "-(n - p)/2 log(2 pi) + 1/2 log|X'X| - 1/2 log|W^-1| - 1/2 log|X'WX| - 1/2 r'Wr;",
    "rma takes the variances as independent, rma.mv the compound-symmetric V"
  ),
  y = layout$y, v = layout$v,
  study = as.character(layout$study), experiment = as.character(layout$experiment),
  X = list(intercept = rep(1, rows), moderator = layout$x),
  rho = rho, V = unname(V),
  rma = list(
    call = "rma(y, v, mods = ~ x, method = 'REML', tau2 = tau2)",
    grid = one_level
  ),
  rma_mv = list(
    call = paste("rma.mv(y, V, mods = ~ x, random = ~ 1 | study/experiment,",
                 "method = 'REML', sigma2 = c(study, experiment))"),
    grid = two_levels
  )
)

# ---- escalc: every measure and variance ----------------------------------------------------------

# Only what metafor 3.8 and 5.0 define alike, so that either may make these numbers again. Not
# here: SMDH's variances (5.0 has Bonett's n - 1), effects without the small-sample correction and
# the corrected ROM (3.8 has no choice: SMD and SMDH are corrected, ROM is not).
positive <- transform(arms, m1 = abs(m1) + 1, m2 = abs(m2) + 1)

measured <- function(measure, vtypes, data) {
  found <- lapply(vtypes, function(vtype) {
    escalc(measure, m1i = m1, sd1i = sd1, n1i = n1, m2i = m2, sd2i = sd2, n2i = n2, data = data,
           vtype = vtype)
  })
  c(list(y = plain(found[[1]]$yi)), setNames(lapply(found, function(f) plain(f$vi)), vtypes))
}

measures_section <- list(
  call = paste("escalc(measure, m1i, sd1i, n1i, m2i, sd2i, n2i, vtype = vtype) on the arms of",
               "escalc_smd; ROM on abs(mean) + 1"),
  SMD_correct = measured("SMD", c("LS", "LS2", "UB", "AV"), arms),
  SMDH_correct = measured("SMDH", "LS", arms)["y"],
  MD_correct = measured("MD", c("LS", "HO"), arms),
  ROM_raw = measured("ROM", c("LS", "HO", "AV", "AVHO"), positive)
)

# ---- write --------------------------------------------------------------------------------------

oracles <- list(
  meta = list(
    script = "tests/reference/make_oracles.R",
    R = R.version.string,
    metafor = as.character(packageVersion("metafor")),
    jsonlite = as.character(packageVersion("jsonlite"))
  ),
  escalc_smd = escalc_section,
  fixed_variances = fixed_section,
  escalc_measures = measures_section
)
# 15 significant digits, the most that jsonlite writes.
write_json(oracles, file.path(here, "oracles.json"), digits = I(15), auto_unbox = TRUE, pretty = 1)
