# Completion of oneuron in fish. In ~/.config/fish/config.fish: oneuron completion fish | source
function __oneuron_names # folder of the project, beginning of each candidate
    set -l folder $PWD
    while test -n "$folder" -a ! -f "$folder/conf/config.yaml"
        set folder (string replace -r '/[^/]*$' '' -- $folder)
    end
    test -n "$folder"; or set folder @PROJECT@
    for name in (command ls -1 $folder/$argv[1] 2>/dev/null)
        echo $argv[2](string replace -r '\.yaml$' '' -- $name)
    end
end

function __oneuron_command # the command that stands there; run where a setting does
    set -l words (commandline -opc)
    test (count $words) -gt 1; or return
    contains -- $words[2] @COMMANDS@; and echo $words[2]; or echo run
end

function __oneuron_is
    set -l command (__oneuron_command)
    contains -- "$command" $argv
end

function __oneuron_settings # the settings that a command takes, or the options of a group
    set -l word (commandline -ct)
    switch $word
        case @FISH_GROUPS@
            set -l group (string split -m 1 = -- $word)[1]
            __oneuron_names conf/$group (string replace -r '[^=,]*$' '' -- $word)
        case '*=*'
            __fish_complete_path (string replace -r '^[^=]*=' '' -- $word) |
                string replace -r '^' (string replace -r '=.*' '=' -- $word)
        case '*'
            printf '%s\n' $argv
    end
end

complete -c oneuron -f
@COMPLETE@
