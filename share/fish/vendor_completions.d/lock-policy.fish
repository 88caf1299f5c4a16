complete -c lock-policy -w policy
