# metafor's answers to the random tables that metafor.py writes; called by it.
#
# Usage: Rscript evidence/metafor.R IN.csv OUT.json
# IN has a row per effect: set, y, v, n, x, group, study, experiment. OUT holds numbers by set,
# feature and name; a fit that metafor refuses is left out and counted by metafor.py.

suppressPackageStartupMessages({
  library(metafor)
  library(jsonlite)
})

paths <- commandArgs(TRUE)
rows <- read.csv(paths[1], colClasses = c(group = "character"))
tight <- list(threshold = 1e-13, maxiter = 1e5, tol = 1e-14, tau2.max = 1e6)
plain <- function(x) as.numeric(unname(x))
attempt <- function(code) tryCatch(suppressWarnings(code), error = function(e) NULL)

coefficients <- function(fit) {
  list(estimate = plain(fit$beta), se = plain(fit$se), statistic = plain(fit$zval),
       p = plain(fit$pval), ci_low = plain(fit$ci.lb), ci_high = plain(fit$ci.ub))
}

pooled <- function(fit) {
  c(coefficients(fit),
    list(tau2 = fit$tau2, tau2_se = fit$se.tau2, i2 = fit$I2, h2 = fit$H2, q = fit$QE,
         q_p = fit$QEp, log_likelihood = fit$fit.stats["ll", if (fit$method == "REML") "REML" else "ML"]))
}

univariate <- function(d) {
  found <- list()
  for (method in c("EE", "DL", "HE", "HS", "SJ", "ML", "REML", "EB", "PM")) {
    for (test in if (method == "EE") c("z", "t") else c("z", "t", "knha", "adhoc")) {
      fit <- attempt(rma(d$y, d$v, method = method, test = test, control = tight))
      if (!is.null(fit)) {
        values <- pooled(fit)
        if (method != "EE") values$prediction <- with(predict(fit), c(pi.lb, pi.ub))
        found[[paste("pool", method, test)]] <- values
      }
      if (nrow(d) >= 6) {
        fit <- attempt(rma(d$y, d$v, mods = ~ x + group, data = d, method = method, test = test,
                           control = tight))
        if (!is.null(fit)) {
          found[[paste("regression", method, test)]] <-
            c(pooled(fit), list(qm = fit$QM, qm_p = fit$QMp))
        }
      }
    }
  }
  reml <- attempt(rma(d$y, d$v, ni = d$n, method = "REML", control = tight))
  if (is.null(reml)) return(found)
  interval <- attempt(confint(reml, control = list(tol = 1e-13, tau2.max = 1e6, maxiter = 1e4)))
  if (!is.null(interval)) found[["interval REML"]] <- list(tau2 = plain(interval$random[1, 2:3]))
  if (nrow(d) >= 4) found <- c(found, bias(reml), deletion(reml))
  found
}

bias <- function(fit) {
  found <- list()
  for (predictor in c("sei", "vi", "ninv", "sqrtninv")) {
    for (model in c("rma", "lm")) {
      test <- attempt(regtest(fit, predictor = predictor, model = model))
      if (!is.null(test)) {
        found[[paste("egger", predictor, model)]] <-
          list(statistic = plain(test$zval), p = plain(test$pval), limit = plain(test$est),
               ci = c(plain(test$ci.lb), plain(test$ci.ub)))
      }
    }
  }
  for (estimator in c("L0", "R0")) for (side in c("left", "right")) {
    filled <- attempt(trimfill(fit, estimator = estimator, side = side))
    if (!is.null(filled)) {
      found[[paste("trim", estimator, side)]] <-
        list(k0 = filled$k0, se_k0 = filled$se.k0, estimate = plain(filled$beta),
             se = filled$se, tau2 = filled$tau2)
    }
  }
  found
}

deletion <- function(fit) {
  found <- list()
  left <- attempt(leave1out(fit))
  if (!is.null(left)) {
    found[["leave_one_out"]] <- list(estimate = plain(left$estimate), se = plain(left$se),
                                     p = plain(left$pval), tau2 = plain(left$tau2),
                                     q = plain(left$Q))
  }
  effect <- attempt(influence(fit))
  if (!is.null(effect)) {
    found[["influence"]] <- list(rstudent = plain(effect$inf$rstudent),
                                 dffits = plain(effect$inf$dffits), cook = plain(effect$inf$cook.d),
                                 cov_ratio = plain(effect$inf$cov.r), hat = plain(effect$inf$hat),
                                 dfbetas = plain(effect$dfbs[[1]]))
  }
  growing <- attempt(cumul(fit))
  if (!is.null(growing)) {
    found[["cumulative"]] <- list(estimate = plain(growing$estimate), se = plain(growing$se),
                                  tau2 = plain(growing$tau2))
  }
  found
}

nested <- function(d) {
  V <- vcalc(d$v, cluster = d$study, subgroup = d$experiment, obs = seq_len(nrow(d)), rho = 0.5)
  found <- list()
  for (method in c("REML", "ML")) {
    # nlminb's own stopping rule, as tight as it still reports success.
    fit <- attempt(rma.mv(d$y, V, mods = ~ x, random = ~ 1 | study/experiment, data = d,
                          method = method, test = "t", dfs = "contain",
                          control = list(rel.tol = 1e-12, iter.max = 1e4, eval.max = 1e4)))
    if (!is.null(fit)) {
      found[[paste("multilevel", method)]] <-
        c(coefficients(fit), list(sigma2 = plain(fit$sigma2), q = fit$QE, qm = fit$QM,
                                  log_likelihood = fit$fit.stats["ll", method]))
      sandwich <- attempt(robust(fit, cluster = d$study))
      if (!is.null(sandwich)) found[[paste("robust CR1", method)]] <- coefficients(sandwich)
    }
  }
  found
}

answers <- lapply(split(rows, rows$set), function(d) {
  if (grepl("^nested", d$set[1])) nested(d) else univariate(d)
})
answers$meta <- list(R = R.version.string, metafor = as.character(packageVersion("metafor")))
write_json(answers, paths[2], digits = I(17), auto_unbox = FALSE, na = "null")
