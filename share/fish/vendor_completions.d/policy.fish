# fish completion for policy, made by `policy completions fish`

function __policy_words # the command, then the words of the command line that follows it
    set -l words (commandline -opc)
    set -e words[1]
    set -l command
    while set -q words[1]
        switch $words[1]
            case --
                contains -- "$command" explain run; and printf '%s\n' $command $words[2..]; and return
            case --config-file --project --color --output-format --python --target --prefix --operation --env --unset --assume --timeout --global-dir --cluster-service --layer --min-coverage --host --port --dbname --user --sslmode --sslrootcert
                set -e words[1]
            case '-*'
            case '*'
                if test -z "$command"
                    set command $words[1]
                else if contains -- $command run
                    printf '%s\n' $command $words
                    return
                end
        end
        set -e words[1]
    end
    printf '%s\n' $command
    return 1
end

function __policy_is # whether a command is called and its own words are being written
    set -l words (__policy_words)
    and return 1
    test "$words" = "$argv"
end

function __policy_program # as sudo's completion has it
    set -l words (__policy_words) (commandline -ct)
    complete -C (string join ' ' -- (string escape -- $words[2..-2]) $words[-1])
end

complete -c policy -f
complete -c policy -n '__policy_words >/dev/null' -a '(__policy_program)'
complete -c policy -n '__policy_is' -a explain -d 'which lock an environment gets, by which rule, and why'
complete -c policy -n '__policy_is' -a run -d 'hold the lock while a command runs'
complete -c policy -n '__policy_is' -a check -d 'find every fault in configuration files, and rules that look wrong'
complete -c policy -n '__policy_is' -a rule -d 'show what a code of policy check means, with an example'
complete -c policy -n '__policy_is' -a test -d 'run the [[tests]] of configuration files against their rules'
complete -c policy -n '__policy_is' -a show -d 'print the effective configuration'
complete -c policy -n '__policy_is' -a init -d 'write a commented configuration file to start from'
complete -c policy -n '__policy_is' -a locks -d 'list the locks that are held on this host, and by whom'
complete -c policy -n '__policy_is' -a users -d 'list the processes that run from an environment'
complete -c policy -n '__policy_is' -a shims -d 'write scripts that run uv, pip and the like under the lock'
complete -c policy -n '__policy_is' -a hook -d 'print what a shell runs at its start to use the shims'
complete -c policy -n '__policy_is' -a cluster -d 'print what a server for the locks of several hosts needs, or check one'
complete -c policy -n '__policy_is' -a schema -d 'print the JSON Schema of the configuration'
complete -c policy -n '__policy_is' -a completions -d 'print a completion script for a shell'
complete -c policy -n '__policy_is' -a help -d 'show what a command does and its options'
complete -c policy -n '__policy_is' -l config-file -r -F -d 'read this file alone (also LOCK_POLICY_CONFIG_FILE)'
complete -c policy -n '__policy_is' -l no-config -d 'read no file at all (also LOCK_POLICY_NO_CONFIG)'
complete -c policy -n '__policy_is' -l project -x -a '(__fish_complete_directories)' -d 'look for the project\'s configuration here and upward'
complete -c policy -n '__policy_is' -l color -x -a 'auto always never' -d 'colours (also NO_COLOR, FORCE_COLOR)'
complete -c policy -n '__policy_is' -s q -l quiet -d 'no notes and no warnings'
complete -c policy -n '__policy_is' -s v -l verbose -d 'say more'
complete -c policy -n '__policy_is' -s h -l help -d 'show this help'
complete -c policy -n '__policy_is' -s V -l version -d 'show the version'
complete -c policy -n '__policy_is explain' -l output-format -x -a 'text json toml path html' -d 'default: text'
complete -c policy -n '__policy_is explain' -l python -r -F -d 'an interpreter, or the root of an environment'
complete -c policy -n '__policy_is explain' -l target -x -a '(__fish_complete_directories)' -d 'a directory that packages are installed into, as pip\'s --target'
complete -c policy -n '__policy_is explain' -l prefix -x -a '(__fish_complete_directories)' -d 'a prefix that packages are installed into, as pip\'s --prefix'
complete -c policy -n '__policy_is explain' -l operation -x -d 'what is about to be done, such as "sync" or "pip install"'
complete -c policy -n '__policy_is explain' -l env -x -d 'as if this variable were set'
complete -c policy -n '__policy_is explain' -l unset -x -d 'as if this variable were not set'
complete -c policy -n '__policy_is explain' -l assume -x -d 'as if this were observed'
complete -c policy -n '__policy_is explain' -l config-file -r -F -d 'read this file alone (also LOCK_POLICY_CONFIG_FILE)'
complete -c policy -n '__policy_is explain' -l no-config -d 'read no file at all (also LOCK_POLICY_NO_CONFIG)'
complete -c policy -n '__policy_is explain' -l project -x -a '(__fish_complete_directories)' -d 'look for the project\'s configuration here and upward'
complete -c policy -n '__policy_is explain' -l timeout -x -d 'how long to wait for the lock (also LOCK_POLICY_TIMEOUT)'
complete -c policy -n '__policy_is explain' -l global-dir -x -a '(__fish_complete_directories)' -d 'where global locks live (also LOCK_POLICY_GLOBAL_DIR)'
complete -c policy -n '__policy_is explain' -l cluster-service -x -d 'the libpq service of the server that keeps locks for several hosts (also LOCK_POLICY_CLUSTER_SERVICE)'
complete -c policy -n '__policy_is explain' -l color -x -a 'auto always never' -d 'colours (also NO_COLOR, FORCE_COLOR)'
complete -c policy -n '__policy_is explain' -s q -l quiet -d 'no notes and no warnings'
complete -c policy -n '__policy_is explain' -s v -l verbose -d 'say more'
complete -c policy -n '__policy_is explain' -s h -l help -d 'show this help'
complete -c policy -n '__policy_is explain' -s V -l version -d 'show the version'
complete -c policy -n '__policy_is explain' -r -F
complete -c policy -n '__policy_is explain' -a '(__fish_complete_command)'
complete -c policy -n '__policy_is run' -l close -d 'the command does not inherit the lock: daemons that it leaves do not hold it'
complete -c policy -n '__policy_is run' -l unused -d 'wait, too, until no process runs from the environment'
complete -c policy -n '__policy_is run' -l python -r -F -d 'an interpreter, or the root of an environment'
complete -c policy -n '__policy_is run' -l target -x -a '(__fish_complete_directories)' -d 'a directory that packages are installed into, as pip\'s --target'
complete -c policy -n '__policy_is run' -l prefix -x -a '(__fish_complete_directories)' -d 'a prefix that packages are installed into, as pip\'s --prefix'
complete -c policy -n '__policy_is run' -l operation -x -d 'what is about to be done, such as "sync" or "pip install"'
complete -c policy -n '__policy_is run' -l config-file -r -F -d 'read this file alone (also LOCK_POLICY_CONFIG_FILE)'
complete -c policy -n '__policy_is run' -l no-config -d 'read no file at all (also LOCK_POLICY_NO_CONFIG)'
complete -c policy -n '__policy_is run' -l project -x -a '(__fish_complete_directories)' -d 'look for the project\'s configuration here and upward'
complete -c policy -n '__policy_is run' -l timeout -x -d 'how long to wait for the lock (also LOCK_POLICY_TIMEOUT)'
complete -c policy -n '__policy_is run' -l global-dir -x -a '(__fish_complete_directories)' -d 'where global locks live (also LOCK_POLICY_GLOBAL_DIR)'
complete -c policy -n '__policy_is run' -l cluster-service -x -d 'the libpq service of the server that keeps locks for several hosts (also LOCK_POLICY_CLUSTER_SERVICE)'
complete -c policy -n '__policy_is run' -s q -l quiet -d 'no notes and no warnings'
complete -c policy -n '__policy_is run' -s v -l verbose -d 'say more'
complete -c policy -n '__policy_is run' -s h -l help -d 'show this help'
complete -c policy -n '__policy_is run' -s V -l version -d 'show the version'
complete -c policy -n '__policy_is run' -a '(__fish_complete_command)'
complete -c policy -n '__policy_is check' -l layer -x -a 'file project user system' -d 'judge FILE as a file of this layer; absent: the layer in whose place FILE stands, else project'
complete -c policy -n '__policy_is check' -l strict -d 'a warning is a finding: exit code 1'
complete -c policy -n '__policy_is check' -l output-format -x -a 'text json github gitlab sarif junit' -d 'default: text'
complete -c policy -n '__policy_is check' -l config-file -r -F -d 'read this file alone (also LOCK_POLICY_CONFIG_FILE)'
complete -c policy -n '__policy_is check' -l no-config -d 'read no file at all (also LOCK_POLICY_NO_CONFIG)'
complete -c policy -n '__policy_is check' -l project -x -a '(__fish_complete_directories)' -d 'look for the project\'s configuration here and upward'
complete -c policy -n '__policy_is check' -l color -x -a 'auto always never' -d 'colours (also NO_COLOR, FORCE_COLOR)'
complete -c policy -n '__policy_is check' -s q -l quiet -d 'no notes and no warnings'
complete -c policy -n '__policy_is check' -s h -l help -d 'show this help'
complete -c policy -n '__policy_is check' -s V -l version -d 'show the version'
complete -c policy -n '__policy_is check' -r -F
complete -c policy -n '__policy_is rule' -l output-format -x -a 'text json' -d 'default: text'
complete -c policy -n '__policy_is rule' -s h -l help -d 'show this help'
complete -c policy -n '__policy_is rule' -s V -l version -d 'show the version'
complete -c policy -n '__policy_is test' -l layer -x -a 'file project user system' -d 'judge FILE as a file of this layer; absent: the layer in whose place FILE stands, else project'
complete -c policy -n '__policy_is test' -l output-format -x -a 'text json junit github' -d 'default: text'
complete -c policy -n '__policy_is test' -l min-coverage -x -d 'exit code 1 where fewer of the rules decide a test; 0 to 100'
complete -c policy -n '__policy_is test' -l config-file -r -F -d 'read this file alone (also LOCK_POLICY_CONFIG_FILE)'
complete -c policy -n '__policy_is test' -l no-config -d 'read no file at all (also LOCK_POLICY_NO_CONFIG)'
complete -c policy -n '__policy_is test' -l project -x -a '(__fish_complete_directories)' -d 'look for the project\'s configuration here and upward'
complete -c policy -n '__policy_is test' -l color -x -a 'auto always never' -d 'colours (also NO_COLOR, FORCE_COLOR)'
complete -c policy -n '__policy_is test' -s q -l quiet -d 'no notes and no warnings'
complete -c policy -n '__policy_is test' -s v -l verbose -d 'say more'
complete -c policy -n '__policy_is test' -s h -l help -d 'show this help'
complete -c policy -n '__policy_is test' -s V -l version -d 'show the version'
complete -c policy -n '__policy_is test' -r -F
complete -c policy -n '__policy_is show' -l show-origin -d 'say of each setting and rule in which file and line it stands'
complete -c policy -n '__policy_is show' -l output-format -x -a 'toml json' -d 'default: toml'
complete -c policy -n '__policy_is show' -l config-file -r -F -d 'read this file alone (also LOCK_POLICY_CONFIG_FILE)'
complete -c policy -n '__policy_is show' -l no-config -d 'read no file at all (also LOCK_POLICY_NO_CONFIG)'
complete -c policy -n '__policy_is show' -l project -x -a '(__fish_complete_directories)' -d 'look for the project\'s configuration here and upward'
complete -c policy -n '__policy_is show' -l timeout -x -d 'how long to wait for the lock (also LOCK_POLICY_TIMEOUT)'
complete -c policy -n '__policy_is show' -l global-dir -x -a '(__fish_complete_directories)' -d 'where global locks live (also LOCK_POLICY_GLOBAL_DIR)'
complete -c policy -n '__policy_is show' -l cluster-service -x -d 'the libpq service of the server that keeps locks for several hosts (also LOCK_POLICY_CLUSTER_SERVICE)'
complete -c policy -n '__policy_is show' -s q -l quiet -d 'no notes and no warnings'
complete -c policy -n '__policy_is show' -s h -l help -d 'show this help'
complete -c policy -n '__policy_is show' -s V -l version -d 'show the version'
complete -c policy -n '__policy_is init' -l force -d 'replace a file that is there'
complete -c policy -n '__policy_is init' -l pyproject -d 'print the same as tables for pyproject.toml, and write nothing'
complete -c policy -n '__policy_is init' -s h -l help -d 'show this help'
complete -c policy -n '__policy_is init' -s V -l version -d 'show the version'
complete -c policy -n '__policy_is init' -r -F
complete -c policy -n '__policy_is locks' -s a -l all -d 'files that nobody holds, too'
complete -c policy -n '__policy_is locks' -l prune -d 'remove files of ours that nobody holds, while holding them; implies --all'
complete -c policy -n '__policy_is locks' -l output-format -x -a 'text json' -d 'default: text'
complete -c policy -n '__policy_is locks' -l python -r -F -d 'an interpreter, or the root of an environment'
complete -c policy -n '__policy_is locks' -l target -x -a '(__fish_complete_directories)' -d 'a directory that packages are installed into, as pip\'s --target'
complete -c policy -n '__policy_is locks' -l prefix -x -a '(__fish_complete_directories)' -d 'a prefix that packages are installed into, as pip\'s --prefix'
complete -c policy -n '__policy_is locks' -l operation -x -d 'what is about to be done, such as "sync" or "pip install"'
complete -c policy -n '__policy_is locks' -l config-file -r -F -d 'read this file alone (also LOCK_POLICY_CONFIG_FILE)'
complete -c policy -n '__policy_is locks' -l no-config -d 'read no file at all (also LOCK_POLICY_NO_CONFIG)'
complete -c policy -n '__policy_is locks' -l project -x -a '(__fish_complete_directories)' -d 'look for the project\'s configuration here and upward'
complete -c policy -n '__policy_is locks' -l color -x -a 'auto always never' -d 'colours (also NO_COLOR, FORCE_COLOR)'
complete -c policy -n '__policy_is locks' -s h -l help -d 'show this help'
complete -c policy -n '__policy_is locks' -s V -l version -d 'show the version'
complete -c policy -n '__policy_is locks' -r -F
complete -c policy -n '__policy_is users' -l output-format -x -a 'text json' -d 'default: text'
complete -c policy -n '__policy_is users' -l python -r -F -d 'an interpreter, or the root of an environment'
complete -c policy -n '__policy_is users' -l target -x -a '(__fish_complete_directories)' -d 'a directory that packages are installed into, as pip\'s --target'
complete -c policy -n '__policy_is users' -l prefix -x -a '(__fish_complete_directories)' -d 'a prefix that packages are installed into, as pip\'s --prefix'
complete -c policy -n '__policy_is users' -l operation -x -d 'what is about to be done, such as "sync" or "pip install"'
complete -c policy -n '__policy_is users' -l color -x -a 'auto always never' -d 'colours (also NO_COLOR, FORCE_COLOR)'
complete -c policy -n '__policy_is users' -s h -l help -d 'show this help'
complete -c policy -n '__policy_is users' -s V -l version -d 'show the version'
complete -c policy -n '__policy_is users' -r -F
complete -c policy -n '__policy_is shims' -l hold-runs -d '`uv run`, `uvx` and similar commands hold the lock as readers: nothing is changed while they run'
complete -c policy -n '__policy_is shims' -s h -l help -d 'show this help'
complete -c policy -n '__policy_is shims' -s V -l version -d 'show the version'
complete -c policy -n '__policy_is shims' -x -a '(__fish_complete_directories)'
complete -c policy -n '__policy_is hook' -s h -l help -d 'show this help'
complete -c policy -n '__policy_is hook' -s V -l version -d 'show the version'
complete -c policy -n '__policy_is hook' -x -a 'bash zsh fish powershell'
complete -c policy -n '__policy_is hook' -x -a '(__fish_complete_directories)'
complete -c policy -n '__policy_is cluster' -l output-format -x -a 'text json' -d 'of status; default: text'
complete -c policy -n '__policy_is cluster' -l cluster-service -x -d 'a service of pg_service.conf (also LOCK_POLICY_CLUSTER_SERVICE)'
complete -c policy -n '__policy_is cluster' -l host -x -d 'name, address or socket directory of the server'
complete -c policy -n '__policy_is cluster' -l port -x -d 'its port'
complete -c policy -n '__policy_is cluster' -l dbname -x -d 'the database that the locks are kept in'
complete -c policy -n '__policy_is cluster' -l user -x -d 'the role that takes them'
complete -c policy -n '__policy_is cluster' -l sslmode -x -d 'what is demanded of TLS, as libpq names it'
complete -c policy -n '__policy_is cluster' -l sslrootcert -r -F -d 'trusted certificates'
complete -c policy -n '__policy_is cluster' -l config-file -r -F -d 'read this file alone (also LOCK_POLICY_CONFIG_FILE)'
complete -c policy -n '__policy_is cluster' -l no-config -d 'read no file at all (also LOCK_POLICY_NO_CONFIG)'
complete -c policy -n '__policy_is cluster' -l project -x -a '(__fish_complete_directories)' -d 'look for the project\'s configuration here and upward'
complete -c policy -n '__policy_is cluster' -l color -x -a 'auto always never' -d 'colours (also NO_COLOR, FORCE_COLOR)'
complete -c policy -n '__policy_is cluster' -s h -l help -d 'show this help'
complete -c policy -n '__policy_is cluster' -s V -l version -d 'show the version'
complete -c policy -n '__policy_is cluster' -x -a 'init status'
complete -c policy -n '__policy_is schema' -l pyproject -d 'of the table [tool.lock-policy] in pyproject.toml instead'
complete -c policy -n '__policy_is schema' -s h -l help -d 'show this help'
complete -c policy -n '__policy_is schema' -s V -l version -d 'show the version'
complete -c policy -n '__policy_is completions' -s h -l help -d 'show this help'
complete -c policy -n '__policy_is completions' -s V -l version -d 'show the version'
complete -c policy -n '__policy_is completions' -x -a 'bash zsh fish powershell'
complete -c policy -n '__policy_is help' -s h -l help -d 'show this help'
complete -c policy -n '__policy_is help' -s V -l version -d 'show the version'
complete -c policy -n '__policy_is help' -x -a 'explain run check rule test show init locks users shims hook cluster schema completions help'
complete -c lock-policy -w policy
