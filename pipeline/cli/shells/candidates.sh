_oneuron_project() { # the folder whose conf/ is in force
  local folder=$PWD project=@PROJECT@
  while [ -n "$folder" ] && [ ! -f "$folder/conf/config.yaml" ]; do folder=${folder%/*}; done
  printf '%s\n' "${folder:-$project}"
}

_oneuron_names() { # folder of the project, beginning of each candidate
  command ls -1 "$(_oneuron_project)/$1" 2>/dev/null | sed -e 's/\.yaml$//' -e "s|^|$2|"
}

_oneuron_values() { # command, flag: what it may be
  case "$1 $2" in
@VALUES@
  esac
}

_oneuron_command() { # command, word: its flags and settings
  local head=${2%"${2##*[=,]}"} # so far typed of a list: optimiser=adam,
  case "$2" in
    @GROUPS@) _oneuron_names "conf/${2%%=*}" "$head" ;;
    *=*) ;;
    *) case "$1" in
@WORDS@
      esac ;;
  esac
}

_oneuron_candidates() { # command (none yet: ""), word, the word before it
  case "$3" in
    @VALUED@) _oneuron_values "$1" "$3" ;;
    *)
      [ -n "$1" ] || case "$2" in *=*) ;; *) printf '%s\n' --help @COMMANDS@ ;; esac
      _oneuron_command "${1:-run}" "$2" ;;
  esac
}
