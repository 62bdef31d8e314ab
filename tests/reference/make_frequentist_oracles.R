# Numbers that the tests of the classical engine are held to, from metafor and clubSandwich.
#
# Usage: Rscript tests/reference/make_frequentist_oracles.R
# Writes frequentist_oracles.json beside this script. All inputs are simulated here or written out
# here; no published table is copied. Needs the R packages metafor, clubSandwich, numDeriv and
# jsonlite (Debian: r-cran-metafor, r-cran-clubsandwich, r-cran-numderiv, r-cran-jsonlite).
#
# Only what metafor 3.8 and 5.0 define alike is kept, so that either may make these numbers again;
# on published tables the two agree to 13 digits in what is kept (where tau2 is iterated tightly).
# Left out for that reason: effects computed by escalc (y and v are given here), the joint test of
# CR2, R2 of a common effect, and bounds that metafor prints as "> tau2.max".
# metafor's own tolerances (tau2 to about 1e-5) are tightened wherever it lets itself be told;
# where it does not (trimfill's last fit, profiles of rma.mv) the same equation is solved here.

suppressPackageStartupMessages({
  library(metafor)
  library(clubSandwich)
  library(jsonlite)
})

file_argument <- grep("^--file=", commandArgs(FALSE), value = TRUE)
here <- dirname(normalizePath(sub("^--file=", "", file_argument)))

# R 3.6 changed sample(); the kind is named so that every later R draws the same.
set.seed(20260704, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")

TIGHT <- list(threshold = 1e-12, tol = 1e-12, maxiter = 100000)
TIGHT_CI <- list(tol = 1e-12, maxiter = 100000, tau2.max = 1e6)
METHODS <- c("EE", "DL", "HE", "HS", "SJ", "ML", "REML", "EB", "PM")
TESTS <- c("z", "t", "knha", "adhoc")

plain <- function(x) as.numeric(unname(x))
by_row <- function(records) do.call(rbind, lapply(records, as.data.frame))
# NULL is what metafor returns for what a model has not; NA is null in the JSON.
given <- function(x) if (is.null(x)) NA else plain(x)

# nlminb at its finest; a grain coarser where it does not report convergence.
finest <- function(work) {
  for (grain in 10^-(13:8)) {
    tight <- list(rel.tol = grain, x.tol = grain, eval.max = 10000, iter.max = 10000)
    found <- tryCatch(work(tight), error = function(e) {
      if (grepl("converge", conditionMessage(e))) NULL else stop(e)
    })
    if (!is.null(found)) return(found)
  }
  stop("no convergence at any grain")
}

# ---- data ----------------------------------------------------------------------------------------

# Effects like Hedges g of two small arms: v grows with y^2, so that the funnel leans.
smd_like <- function(k, mean, tau2, arms) {
  n1 <- sample(arms, k, replace = TRUE)
  n2 <- sample(arms, k, replace = TRUE)
  theta <- rnorm(k, mean, sqrt(tau2))
  y <- round(rnorm(k, theta, sqrt(1 / n1 + 1 / n2 + theta^2 / (2 * (n1 + n2)))), 4)
  data.frame(y = y, v = round(1 / n1 + 1 / n2 + y^2 / (2 * (n1 + n2)), 6), n = n1 + n2)
}

moderated <- data.frame(n = sample(14:90, 20, replace = TRUE))
moderated$v <- round(4 / moderated$n * runif(20, 0.8, 1.4), 5)
moderated$x <- round(runif(20, -2, 3), 3)
moderated$group <- sample(rep(c("acute", "chronic", "single"), c(7, 6, 7)))
moderated$y <- round(with(moderated, rnorm(20, 0.2 + 0.25 * x + 0.5 * (group == "single") +
  1.2 * sqrt(v) + rnorm(20, 0, 0.35), sqrt(v))), 4)

heavy <- smd_like(25, 1.8, 5, 5:12)
heavy$group <- rep(c("rat", "mouse", "pig", "mouse", "rat"), 5)

data <- list(
  # A continuous moderator and a factor of three levels.
  moderated = moderated,
  # tau2 about 5, small arms, unequal groups.
  heavy = heavy,
  # A leaning funnel to the right and the same one to the left: studies are filled in on either side.
  leaning = data.frame(
    y = c(0.31, 0.24, 0.42, 0.35, 0.61, 0.49, 0.95, 1.18, 0.77, 1.42, 1.73, 1.05, 2.11, 1.61),
    v = c(0.012, 0.02, 0.031, 0.045, 0.06, 0.052, 0.11, 0.16, 0.09, 0.21, 0.31, 0.18, 0.44, 0.37),
    n = c(340, 210, 128, 92, 70, 78, 40, 28, 44, 22, 16, 24, 12, 14)
  ),
  four = data.frame(y = c(0.12, 0.95, 0.40, 1.61), v = c(0.08, 0.15, 0.05, 0.31),
                    n = c(52, 28, 84, 14)),
  two = data.frame(y = c(0.35, 1.52), v = c(0.11, 0.19), n = c(38, 24)),
  # Closer together than chance: DL, REML, ML, EB, PM, HE and HS are 0; SJ cannot be.
  none = data.frame(y = c(0.51, 0.47, 0.55, 0.49, 0.62, 0.44, 0.52, 0.58),
                    v = c(0.09, 0.05, 0.12, 0.07, 0.21, 0.16, 0.08, 0.10),
                    n = c(46, 82, 34, 60, 20, 26, 52, 42)),
  # All studies weigh the same: DL, HE, REML, EB and PM agree.
  equal = data.frame(y = c(-0.21, 0.85, 0.33, 1.40, 0.02, 0.71, -0.64), v = rep(0.25, 7),
                     n = rep(16, 7)),
  # One study with a thousand times the weight of the rest.
  huge = data.frame(y = c(0.052, 0.61, -0.15, 0.93, 0.22, 0.48, -0.34, 0.77, 0.36),
                    v = c(0.0001, 0.13, 0.18, 0.15, 0.11, 0.21, 0.16, 0.12, 0.2),
                    n = c(41000, 31, 22, 27, 36, 19, 25, 33, 20))
)
data$leaning_left <- transform(data$leaning, y = -y)

fit <- function(d, method = "REML", test = "z", mods = NULL, ...) {
  a <- list(yi = d$y, vi = d$v, method = method, test = test, control = TIGHT, ...)
  if (!is.null(d$n)) a$ni <- d$n
  if (!is.null(mods)) a <- c(a, list(mods = mods, data = d))
  do.call(rma, a)
}

# The maximum that was found is the highest on a grid of tau2: metafor climbs from one start.
stopifnot_global <- function(f, mods = NULL) {
  if (!f$method %in% c("ML", "REML") || f$test != "z") return(invisible())
  at <- function(t) {
    a <- list(yi = f$yi, vi = f$vi, method = f$method, tau2 = t)
    if (f$p > 1) a$mods <- f$X[, -1]
    do.call(rma, a)$fit.stats["ll", f$method]
  }
  grid <- c(0, f$tau2 * seq(0.01, 4, length.out = 100), 10^seq(-4, 2, length.out = 40))
  stopifnot(f$fit.stats["ll", f$method] >= max(vapply(grid, at, 0)) - 1e-9)
}

# ---- pooling -------------------------------------------------------------------------------------

heterogeneity_of <- function(f) {
  s <- f$fit.stats
  list(
    method = f$method, k = f$k, tau2 = f$tau2, tau2_se = given(f$se.tau2), i2 = f$I2, h2 = f$H2,
    q = f$QE, q_df = f$k - f$p, q_p = f$QEp,
    log_likelihood_ml = s["ll", "ML"], log_likelihood_reml = s["ll", "REML"],
    aic_ml = s["AIC", "ML"], bic_ml = s["BIC", "ML"], aicc_ml = s["AICc", "ML"],
    aic_reml = s["AIC", "REML"], bic_reml = s["BIC", "REML"], aicc_reml = s["AICc", "REML"]
  )
}

pooled_of <- function(f) {
  # The default of predict(): normal with z, t with k - 1 degrees of freedom with t and
  # Knapp-Hartung; none for a common effect.
  p <- predict(f)
  interval <- f$method != "EE"
  list(
    method = f$method, test = f$test, estimate = plain(f$beta), se = f$se, statistic = f$zval,
    df = if (f$test == "z") NA else plain(f$ddf), p = f$pval, ci_low = f$ci.lb, ci_high = f$ci.ub,
    prediction_low = if (interval) p$pi.lb else NA, prediction_high = if (interval) p$pi.ub else NA
  )
}

pooling <- lapply(data, function(d) {
  fits <- lapply(METHODS, function(m) fit(d, m))
  lapply(fits, stopifnot_global)
  pairs <- expand.grid(method = METHODS, test = TESTS, stringsAsFactors = FALSE)
  # metafor has no Knapp-Hartung for a common effect.
  pairs <- pairs[!(pairs$method == "EE" & pairs$test %in% c("knha", "adhoc")), ]
  list(
    heterogeneity = by_row(lapply(fits, heterogeneity_of)),
    pooled = by_row(Map(function(m, t) pooled_of(fit(d, m, t)), pairs$method, pairs$test)),
    weights = setNames(lapply(fits, function(f) plain(weights(f))), METHODS)
  )
})

# ---- confidence intervals for tau2 ---------------------------------------------------------------

tau2_interval <- function(f, type, level) {
  b <- confint(f, type = type, level = level, control = TIGHT_CI)$random
  # No search ended at its limit, and both equations had a solution or tau2 = 0 stood in for it.
  stopifnot(b["tau^2", "ci.ub"] < 1e5)
  list(method = f$method, type = type, level = level,
       tau2_low = b["tau^2", "ci.lb"], tau2_high = b["tau^2", "ci.ub"],
       i2_low = b["I^2(%)", "ci.lb"], i2_high = b["I^2(%)", "ci.ub"],
       h2_low = b["H^2", "ci.lb"], h2_high = b["H^2", "ci.ub"])
}

# The profile likelihood of two studies is so flat that its bound lies beyond any search.
tau2_intervals <- lapply(names(data), function(name) {
  d <- data[[name]]
  q <- lapply(c(95, 90), function(l) tau2_interval(fit(d), "QP", l))
  if (name == "two") return(by_row(q))
  by_row(c(q, list(tau2_interval(fit(d), "PL", 95), tau2_interval(fit(d, "ML"), "PL", 95),
                   tau2_interval(fit(d), "PL", 90))))
})
names(tau2_intervals) <- names(data)

# ---- meta-regression -----------------------------------------------------------------------------

regression_of <- function(f) {
  list(terms = rownames(f$beta), estimate = plain(f$beta), se = f$se, statistic = plain(f$zval),
       df = if (f$test == "z") NA else plain(f$ddf), p = plain(f$pval), ci_low = f$ci.lb,
       ci_high = f$ci.ub, covariance = unname(f$vb), qm = f$QM, qm_df = plain(f$QMdf),
       qm_p = f$QMp)
}
# R2 of a common effect is that of lm, another quantity; at tau2 = 0 without moderators it has no
# denominator.
explained <- function(f) if (f$method == "EE" || !is.finite(given(f$R2))) NA else plain(f$R2)

formulas <- list(
  moderated = list(x = ~ x, group = ~ group, both = ~ x + group, product = ~ x * group),
  heavy = list(group = ~ group),
  # Nothing is left to explain: R2 has no denominator.
  none = list(n = ~ n),
  four = list(n = ~ n)
)
regressions <- lapply(names(formulas), function(name) {
  d <- data[[name]]
  lapply(formulas[[name]], function(mods) {
    found <- list(formula = paste(deparse(mods), collapse = ""),
                  X = unname(model.matrix(mods, d)), fits = list())
    fits <- lapply(METHODS, function(m) suppressWarnings(fit(d, m, mods = mods)))
    lapply(fits, stopifnot_global)
    found$heterogeneity <- by_row(lapply(fits, function(f) {
      c(heterogeneity_of(f), list(r2 = explained(f)))
    }))
    pairs <- rbind(expand.grid(m = METHODS, t = c("z", "knha"), stringsAsFactors = FALSE),
                   expand.grid(m = c("DL", "REML"), t = c("t", "adhoc"), stringsAsFactors = FALSE))
    for (i in which(!(pairs$m == "EE" & pairs$t == "knha"))) {
      f <- suppressWarnings(fit(d, pairs$m[i], pairs$t[i], mods = mods))
      found$fits[[paste(f$method, f$test, sep = "_")]] <- regression_of(f)
    }
    f <- suppressWarnings(fit(d, mods = mods))
    found$tau2_interval <- tau2_interval(f, "QP", 95)
    found
  })
})
names(regressions) <- names(formulas)

# ---- subgroups -----------------------------------------------------------------------------------

between <- function(parts) {
  # Separate tau2: the groups' pooled effects compared as so many known normal means.
  est <- vapply(parts, function(f) plain(f$beta), 0)
  se <- vapply(parts, function(f) f$se, 0)
  f <- rma(est, sei = se, mods = ~ factor(seq_along(est)), method = "FE")
  list(q = f$QM, df = f$QMdf[1], p = f$QMp)
}

subgroups <- lapply(c(moderated = "moderated", heavy = "heavy"), function(name) {
  d <- data[[name]]
  lapply(c(REML = "REML", DL = "DL", EE = "EE"), function(m) {
    parts <- lapply(split(d, d$group), function(part) fit(part, m))
    knha <- if (m != "EE") lapply(split(d, d$group), function(part) fit(part, m, "knha"))
    common <- fit(d, m, mods = ~ group)
    means <- fit(d, m, mods = ~ group - 1)
    list(
      levels = names(parts),
      separate = list(
        z = by_row(lapply(parts, function(f) c(pooled_of(f), heterogeneity_of(f)[3:9]))),
        knha = if (m != "EE") {
          by_row(lapply(knha, function(f) c(pooled_of(f), heterogeneity_of(f)[3:9])))
        },
        between = between(parts)
      ),
      common = list(
        estimate = plain(means$beta), se = means$se, ci_low = means$ci.lb, ci_high = means$ci.ub,
        tau2 = common$tau2, qm = common$QM, qm_df = plain(common$QMdf)[1], qm_p = common$QMp,
        qe = common$QE, qe_p = common$QEp, r2 = if (m == "EE") NA else given(common$R2),
        knha = if (m != "EE") {
          f <- fit(d, m, "knha", mods = ~ group)
          g <- fit(d, m, "knha", mods = ~ group - 1)
          list(se = g$se, ci_low = g$ci.lb, ci_high = g$ci.ub, f = f$QM, df = plain(f$QMdf),
               p = f$QMp)
        }
      )
    )
  })
})

# ---- leave-one-out, influence, accumulation ------------------------------------------------------

columns <- c("estimate", "se", "pval", "ci.lb", "ci.ub", "Q", "Qp", "tau2", "I2", "H2")
walked <- function(x) {
  x <- as.data.frame(x)
  names(x)[names(x) == "pvals"] <- "pval" # so cumul in 3.8
  if (is.null(x$tau2)) x$tau2 <- 0 # a common effect
  found <- setNames(lapply(columns, function(n) plain(x[[n]])), sub("\\.", "_", columns))
  c(found, list(statistic = plain(x[[3]])))
}
influence_of <- function(f) {
  x <- influence(f)
  c(lapply(as.list(as.data.frame(x$inf)[c("rstudent", "dffits", "cook.d", "cov.r", "tau2.del",
                                          "QE.del", "hat", "weight")]), plain),
    list(dfbs = unname(as.matrix(as.data.frame(x$dfbs))), tau2 = f$tau2))
}

many <- setdiff(names(data), c("two", "equal", "leaning_left"))
deletion <- lapply(data[many], function(d) {
  list(
    leave_one_out = list(REML_z = walked(leave1out(fit(d))),
                         REML_knha = walked(leave1out(fit(d, test = "knha"))),
                         DL_z = walked(leave1out(fit(d, "DL")))),
    influence = list(REML_z = influence_of(fit(d)), EE_z = influence_of(fit(d, "EE")),
                     REML_knha = influence_of(fit(d, test = "knha")))
  )
})
deletion$moderated$influence_both <- list(
  formula = "~ x + group", REML_z = influence_of(fit(data$moderated, mods = ~ x + group)),
  REML_knha = influence_of(fit(data$moderated, test = "knha", mods = ~ x + group))
)
# In the order of the rows; the first step is one study, to which Knapp-Hartung says nothing.
accumulation <- lapply(data[many], function(d) {
  list(REML_z = walked(cumul(fit(d))), EE_z = walked(cumul(fit(d, "EE"))))
})

# ---- asymmetry: regression tests, PET and PEESE --------------------------------------------------

regtest_of <- function(d, model, method, test, predictor) {
  x <- regtest(fit(d, method, test), model = model, predictor = predictor, ret.fit = TRUE)
  f <- x$fit
  lm <- inherits(f, "lm")
  # The extrapolation to a study without noise; n itself has none.
  limit <- predictor != "ni"
  list(
    model = model, method = if (lm) NA else method, test = if (lm) NA else test,
    predictor = predictor, statistic = plain(x$zval), df = if (lm || test != "z") plain(x$dfs) else NA,
    p = plain(x$pval), intercept = plain(coef(f))[1], slope = plain(coef(f))[2],
    intercept_se = plain(sqrt(diag(vcov(f))))[1], slope_se = plain(sqrt(diag(vcov(f))))[2],
    tau2 = if (lm) NA else f$tau2,
    limit = if (limit) plain(x$est) else NA, limit_low = if (limit) plain(x$ci.lb) else NA,
    limit_high = if (limit) plain(x$ci.ub) else NA
  )
}
predictors <- c("sei", "vi", "ni", "ninv", "sqrtninv")
wide <- c("moderated", "heavy", "leaning", "leaning_left", "none", "huge")
asymmetry <- lapply(data[wide], function(d) {
  ways <- rbind(
    expand.grid(model = "rma", method = c("REML", "DL", "EE"), test = "z", predictor = predictors),
    expand.grid(model = "rma", method = "REML", test = "knha", predictor = predictors),
    expand.grid(model = "lm", method = "REML", test = "z", predictor = predictors)
  )
  ways[] <- lapply(ways, as.character)
  pet <- function(predictor) {
    s <- summary(lm(d$y ~ predictor, weights = 1 / d$v))
    q <- qt(0.975, s$df[2])
    e <- s$coefficients
    list(estimate = plain(e[, 1]), se = plain(e[, 2]), statistic = plain(e[, 3]), df = s$df[2],
         p = plain(e[, 4]), ci_low = plain(e[, 1] - q * e[, 2]), ci_high = plain(e[, 1] + q * e[, 2]))
  }
  list(
    regtest = by_row(Map(regtest_of, list(d), ways$model, ways$method, ways$test, ways$predictor)),
    pet = pet(sqrt(d$v)), peese = pet(d$v)
  )
})

# ---- trim-and-fill -------------------------------------------------------------------------------

filled_of <- function(d, method, estimator, side) {
  x <- trimfill(fit(d, method), estimator = estimator, side = side)
  # trimfill() does not hand its control on: the filled data once more, tightly.
  f <- fit(data.frame(y = plain(x$yi), v = plain(x$vi)), method)
  p <- pooled_of(f)
  list(method = method, estimator = estimator, side = side, k0 = plain(x$k0),
       k0_se = plain(x$se.k0), k0_p = if (estimator == "R0") plain(x$p.k0) else NA,
       k = f$k, estimate = p$estimate, se = p$se, ci_low = p$ci_low, ci_high = p$ci_high,
       tau2 = f$tau2, q = f$QE,
       y_filled = plain(x$yi)[x$fill], v_filled = plain(x$vi)[x$fill])
}
# The side that metafor takes when none is named.
default_side <- function(d) vapply(c(REML = "REML", DL = "DL", EE = "EE"), function(m) {
  trimfill(fit(d, m))$side
}, "")
filling <- lapply(data[c(wide, "equal", "four")], function(d) {
  ways <- expand.grid(method = c("REML", "DL", "EE"), estimator = c("L0", "R0"),
                      side = c("left", "right"), stringsAsFactors = FALSE)
  # Without a spread of v the side cannot be found by regression on sqrt(v).
  list(default_side = if (length(unique(d$v)) > 1) as.list(default_side(d)),
       fits = unname(Map(filled_of, list(d), ways$method, ways$estimator, ways$side)))
})

# ---- step selection models -----------------------------------------------------------------------

selected_of <- function(d, steps, alternative) {
  # The Hessian behind the standard errors is numerical: about 1e-6.
  f <- suppressWarnings(fit(d, "ML"))
  x <- finest(function(tight) {
    suppressWarnings(selmodel(f, type = "stepfun", steps = steps, alternative = alternative,
                              control = c(list(optimizer = "nlminb"), tight)))
  })
  list(steps = steps, alternative = alternative, estimate = plain(x$beta), se = plain(x$se),
       statistic = plain(x$zval), p = plain(x$pval), ci_low = plain(x$ci.lb),
       ci_high = plain(x$ci.ub), tau2 = plain(x$tau2), tau2_se = plain(x$se.tau2),
       delta = plain(x$delta), delta_se = given(x$se.delta), lrt = plain(x$LRT),
       lrt_df = length(steps), lrt_p = plain(x$LRTp), log_likelihood = plain(x$fit.stats["ll", "ML"]),
       log_likelihood_without = plain(f$fit.stats["ll", "ML"]))
}
selectable <- list(moderated = "greater", heavy = c("greater", "less"), leaning = "greater",
                   leaning_left = "less")
selection <- lapply(names(selectable), function(name) {
  d <- data[[name]]
  found <- list()
  for (alternative in selectable[[name]]) for (steps in list(0.025, c(0.025, 0.5))) {
    p <- pnorm(d$y / sqrt(d$v), lower.tail = alternative == "less")
    # A step without a p value has no estimate.
    if (any(table(cut(p, c(0, steps, 1), include.lowest = TRUE)) == 0)) next
    found[[length(found) + 1]] <- selected_of(d, steps, alternative)
  }
  found
})
names(selection) <- names(selectable)

# ---- nested group effects and a full V -----------------------------------------------------------

study <- rep(seq_len(15), times = sample(1:3, 15, replace = TRUE))
nested <- data.frame(study = study, experiment = ave(study, study, FUN = seq_along))
nested <- nested[rep(seq_len(nrow(nested)), times = sample(1:3, nrow(nested), replace = TRUE)), ]
rows <- nrow(nested)
nested$unit <- paste(nested$study, nested$experiment, sep = "/")
nested$v <- round(rgamma(rows, 6, 20), 4)
nested$x <- round(runif(rows, 0, 4), 3)
nested$arm <- c("low", "high")[1 + nested$study %% 2] # constant within a study
rho <- 0.5
same <- outer(nested$unit, nested$unit, "==")
V <- rho * same * sqrt(outer(nested$v, nested$v))
diag(V) <- nested$v
centre <- 1.2 - 0.3 * nested$x + rnorm(15, 0, 1.4)[nested$study] +
  rnorm(length(unique(nested$unit)), 0, 0.6)[as.integer(factor(nested$unit))]
nested$y <- round(centre + drop(t(chol(V)) %*% rnorm(rows)), 4)

mv <- function(...) {
  given <- list(...)
  finest(function(tight) do.call(rma.mv, c(given, list(control = tight))))
}
three <- function(...) mv(yi = nested$y, random = ~ 1 | study/experiment, data = nested, ...)

nested_of <- function(f) {
  s <- f$fit.stats
  p <- if (f$p == 1) predict(f)
  list(
    method = f$method, test = f$test, terms = rownames(f$beta), estimate = plain(f$beta),
    se = f$se, statistic = plain(f$zval), df = if (f$test == "z") NA else plain(f$ddf),
    p = plain(f$pval), ci_low = f$ci.lb, ci_high = f$ci.ub, covariance = unname(f$vb),
    sigma2 = plain(f$sigma2), qe = f$QE, qe_df = f$k - f$p, qe_p = f$QEp,
    qm = if (f$p > 1) f$QM, qm_df = if (f$p > 1) plain(f$QMdf), qm_p = if (f$p > 1) f$QMp,
    prediction_low = if (f$p == 1) p$pi.lb, prediction_high = if (f$p == 1) p$pi.ub,
    log_likelihood = s["ll", f$method], aic = s["AIC", f$method], bic = s["BIC", f$method],
    aicc = s["AICc", f$method]
  )
}

# Profile interval of one variance: where twice the log-likelihood has dropped by 3.84.
profile_interval <- function(f, which, refit) {
  top <- f$fit.stats["ll", f$method]
  drop_at <- function(value) {
    sigma2 <- c(NA, NA)
    sigma2[which] <- value
    2 * (top - refit(sigma2)$fit.stats["ll", f$method]) - qchisq(0.95, 1)
  }
  at <- f$sigma2[which]
  low <- if (drop_at(0) < 0) 0 else uniroot(drop_at, c(0, at), tol = 1e-10)$root
  high <- uniroot(drop_at, c(at, 10 * at + 1), tol = 1e-10, extendInt = "upX")$root
  c(low, high)
}

robust_of <- function(f, cluster, ...) {
  r <- robust(f, cluster = cluster, ...)
  s <- list(terms = rownames(f$beta), clusters = r$n, se = plain(r$se), statistic = plain(r$zval),
            df = plain(if (is.null(r$dfs)) r$ddf else r$dfs), p = plain(r$pval),
            ci_low = plain(r$ci.lb), ci_high = plain(r$ci.ub), covariance = unname(as.matrix(r$vb)))
  if (f$p > 1) s <- c(s, list(qm = r$QM, qm_df = plain(r$QMdf), qm_p = r$QMp))
  s
}
# What robust(clubSandwich = TRUE) calls; itself it does not find the data of these fits.
satterthwaite_of <- function(f, cluster) {
  vcov <- vcovCR(f, cluster = cluster, type = "CR2")
  t <- coef_test(f, vcov = vcov, test = "Satterthwaite")
  b <- conf_int(f, vcov = vcov, test = "Satterthwaite", level = 0.95)
  list(terms = rownames(f$beta), clusters = length(unique(cluster)), se = plain(t$SE),
       statistic = plain(t$tstat), df = plain(t$df_Satt), p = plain(t$p_Satt),
       ci_low = plain(b$CI_L), ci_high = plain(b$CI_U), covariance = unname(as.matrix(vcov)))
}
sandwiches <- function(f, cluster) {
  list(CR0 = robust_of(f, cluster, adjust = FALSE), CR1 = robust_of(f, cluster),
       CR2 = satterthwaite_of(f, cluster))
}

full <- three(V = V)
full_ml <- three(V = V, method = "ML")
by_x <- three(V = V, mods = ~ x)
diagonal <- three(V = nested$v)
flat <- mv(yi = nested$y, V = V, random = ~ 1 | study, data = nested)
multilevel <- list(
  y = nested$y, v = nested$v, x = nested$x, arm = nested$arm,
  study = as.character(nested$study), experiment = as.character(nested$experiment),
  rho = rho, V = unname(V),
  call = "rma.mv(y, V, mods, random = ~ 1 | study/experiment), V compound symmetric in experiments",
  fits = list(
    REML_z = nested_of(full), REML_t = nested_of(three(V = V, test = "t")),
    REML_contain = nested_of(three(V = V, test = "t", dfs = "contain")),
    ML_z = nested_of(full_ml), ML_contain = nested_of(three(V = V, method = "ML", test = "t", dfs = "contain")),
    diagonal_REML_z = nested_of(diagonal), study_only_REML_z = nested_of(flat),
    common_z = nested_of(rma.mv(y, V, data = nested, method = "EE")),
    x_REML_z = nested_of(by_x), x_ML_z = nested_of(three(V = V, mods = ~ x, method = "ML")),
    x_REML_contain = nested_of(three(V = V, mods = ~ x, test = "t", dfs = "contain")),
    arm_x_REML_contain = nested_of(three(V = V, mods = ~ arm + x, test = "t", dfs = "contain"))
  ),
  profile = list(
    REML_study = profile_interval(full, 1, function(s) three(V = V, sigma2 = s)),
    REML_experiment = profile_interval(full, 2, function(s) three(V = V, sigma2 = s)),
    ML_study = profile_interval(full_ml, 1, function(s) three(V = V, method = "ML", sigma2 = s)),
    ML_experiment = profile_interval(full_ml, 2, function(s) three(V = V, method = "ML", sigma2 = s)),
    study_only_REML_study = local({
      top <- flat$fit.stats["ll", "REML"]
      f <- function(s) {
        ll <- rma.mv(y, V, random = ~ 1 | study, data = nested, sigma2 = s)$fit.stats["ll", "REML"]
        2 * (top - ll) - qchisq(0.95, 1)
      }
      c(if (f(0) < 0) 0 else uniroot(f, c(0, flat$sigma2), tol = 1e-12)$root,
        uniroot(f, c(flat$sigma2, 10 * flat$sigma2 + 1), tol = 1e-12, extendInt = "upX")$root)
    })
  )
)

# clubSandwich reads the call of a fit: written out here, at the variances found above.
arm_x <- three(V = V, mods = ~ arm + x)
full_call <- rma.mv(y, V, random = ~ 1 | study/experiment, data = nested, sigma2 = full$sigma2)
x_call <- rma.mv(y, V, mods = ~ x, random = ~ 1 | study/experiment, data = nested,
                 sigma2 = by_x$sigma2)
arm_x_call <- rma.mv(y, V, mods = ~ arm + x, random = ~ 1 | study/experiment, data = nested,
                     sigma2 = arm_x$sigma2)
rma_call <- rma(y, v, data = nested, control = TIGHT)
rma_x_call <- rma(y, v, mods = ~ x, data = nested, control = TIGHT)
robust_section <- list(
  note = paste("the REML fits of `multilevel`, and rma on y and v as if independent; clusters are",
               "studies; CR1 is n / (n - p) times CR0; CR2 is clubSandwich's, Satterthwaite df"),
  full = sandwiches(full_call, nested$study), x = sandwiches(x_call, nested$study),
  arm_x = sandwiches(arm_x_call, nested$study),
  rma_REML = sandwiches(rma_call, nested$study), rma_REML_x = sandwiches(rma_x_call, nested$study)
)

# A boundary: studies whose means are all the same.
boundary <- nested
boundary$y <- round(1 + nested$y - ave(nested$y, nested$study), 4)
edge <- mv(yi = boundary$y, V = V, random = ~ 1 | study/experiment, data = boundary)
multilevel$boundary <- c(list(y = boundary$y), nested_of(edge))
stopifnot(edge$sigma2[1] < 1e-6, full$sigma2 > 0.1)

# ---- write ---------------------------------------------------------------------------------------

oracles <- list(
  meta = list(
    script = "tests/reference/make_frequentist_oracles.R",
    R = R.version.string,
    metafor = as.character(packageVersion("metafor")),
    clubSandwich = as.character(packageVersion("clubSandwich")),
    jsonlite = as.character(packageVersion("jsonlite")),
    conventions = c(
      "intervals 95%; I2 and R2 in percent; knha is Knapp-Hartung, adhoc truncates its factor at 1",
      "prediction intervals are predict()'s default; p values two-sided"
    )
  ),
  data = lapply(data, as.list),
  pooling = pooling,
  tau2_intervals = tau2_intervals,
  regressions = regressions,
  subgroups = subgroups,
  deletion = deletion,
  accumulation = accumulation,
  asymmetry = asymmetry,
  filling = filling,
  selection = selection,
  multilevel = multilevel,
  robust = robust_section
)
# 15 significant digits, the most that jsonlite writes. One section a line: a change shows where.
texts <- vapply(oracles, function(part) {
  as.character(toJSON(part, digits = I(15), auto_unbox = TRUE, na = "null", null = "null",
                      dataframe = "columns", matrix = "rowmajor"))
}, "")
lines <- paste0("\"", names(texts), "\": ", texts)
writeLines(c("{", paste0(lines, c(rep(",", length(lines) - 1), "")), "}"),
           file.path(here, "frequentist_oracles.json"))
