// Words for comparing settings: [English, Korean]. {name} is filled in.
export const COMPARE_STRINGS = {
  aim: ["What to do", "무엇을 할까요?"],
  aim_clip: ["Make a clip", "영상 만들기"],
  aim_compare: ["Compare settings", "설정 비교하기"],
  compare_hint: [
    "The same picture is made in several ways, several times each. The checks then say which way is better, or " +
      "that they cannot tell.",
    "같은 사진을 여러 방식으로 여러 번씩 만듭니다. 점수를 비교해 어느 쪽이 나은지, 또는 아직 알 수 없는지 알려 줍니다.",
  ],
  compare_moods: ["The four moods", "네 가지 분위기"],
  compare_moods_what: ["Calm, alert, warm, still", "차분, 또렷, 따뜻, 가만히"],
  compare_moods_hint: [
    "The same picture is made once in each mood. You choose by looking.",
    "같은 사진을 분위기마다 하나씩 만듭니다. 보고 고르세요.",
  ],
  compare_moods_do: ["Make four takes", "네 가지로 만들기"],
  takes_running: ["Making four takes", "네 가지로 만드는 중"],
  takes_done: ["Four takes: choose one", "네 가지 중에서 골라 보세요"],
  take: ["This one", "이걸로"],
  take_named: ["This one: {mood}", "이걸로: {mood}"],
  compare_what: ["What to compare", "무엇을 비교할까요?"],
  compare_shape: ["{frames} frames at {size}", "{size}, {frames}프레임"],
  compare_repeats: ["How often each way (seeds)", "방식마다 몇 번씩 만들까요? (시드)"],
  compare_repeats_hint: [
    "For each picture. With fewer than about 10 in all, the answer is nearly always “not enough evidence”.",
    "사진 한 장당 횟수입니다. 모두 합해 10번쯤 되지 않으면 대부분 ‘근거 부족’으로 끝납니다.",
  ],
  compare_clips: ["{n} clips in all", "모두 {n}개"],
  compare_count: ["{n} clips", "영상 {n}개"],
  takes_part: ["One of four takes", "네 가지 중 하나"],
  compare_part: ["Part of a comparison", "비교에 쓰인 영상"],
  compare_too_many: [
    "{n} clips are more than the {most} that this server takes at once. Choose fewer.",
    "{n}개는 이 서버가 한 번에 받는 {most}개보다 많습니다. 횟수나 사진을 줄여 주세요.",
  ],
  compare_do: ["Compare", "비교하기"],
  compare_running: ["{n} of {total} clips are made", "영상 {total}개 중 {n}개 완성"],
  compare_done: ["What {n} clips show", "영상 {n}개의 비교 결과"],
  compare_nothing: [
    "No clip could be made, so there is nothing to compare.",
    "만들어진 영상이 없어 비교할 수 없습니다.",
  ],
  compare_open: ["See them side by side", "나란히 보기"],
  compare_download: ["Save as one file", "파일 하나로 저장"],
  compare_all: ["All clips ({n})", "모든 영상 ({n}개)"],
  compare_left_out: ["Left out ({n})", "빠진 영상 ({n}개)"],
  compare_expires: [
    "The clips are kept until {when}; the result stays 30 days longer.",
    "영상은 {when}까지, 결과는 그 뒤 30일 더 보관합니다.",
  ],
  compare_expired: [
    "The clips have expired; the result is kept for a while longer.",
    "보관 기간이 지나 영상은 삭제되었고, 결과는 당분간 남아 있습니다.",
  ],
  compare_delete_title: ["Delete this comparison?", "이 비교를 삭제할까요?"],
  compare_delete_text: [
    "All of its clips and the result are deleted from the server. This cannot be undone.",
    "모든 영상과 결과가 서버에서 삭제되며 되돌릴 수 없습니다.",
  ],
  compared: ["Comparisons", "지난 비교"],
  compare_total: ["Clips", "영상 수"],
};
