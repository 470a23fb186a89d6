// Notes of the server and of reports are English sentences. The known ones are translated into Korean here.
import { language } from "./i18n.js";

const KOREAN = [
  [/^no worker is running/, "작업 프로세스가 켜지는 중입니다."],
  [/not installed on this server; (.+) does$/, "이 서버에는 설치되어 있지 않습니다. 설치하려면: $1"],
  [/^no GPU was found/, "이 서버에는 그래픽 카드(GPU)가 없어 쓸 수 없습니다."],
  [
    /^(\d+) faces were found: the clip is about the largest one$/,
    "얼굴 $1개를 찾았습니다. 가장 큰 얼굴을 기준으로 만듭니다.",
  ],
  [
    /^no face was found, so the middle of the picture is shown/,
    "얼굴을 찾지 못해 사진의 가운데를 보여 드리며, 같은 사람인지는 잴 수 없습니다. 또렷한 정면 얼굴 사진을 써 보세요.",
  ],
  [
    /^no face was found, so the person's part of the picture is shown/,
    "얼굴을 찾지 못해 사람이 있는 부분을 보여 드리며, 같은 사람인지는 잴 수 없습니다. 또렷한 정면 얼굴 사진을 써 보세요.",
  ],
  [
    /^no face was found, so the top of the picture is shown/,
    "얼굴을 찾지 못해 사진의 위쪽을 보여 드리며, 같은 사람인지는 잴 수 없습니다. 또렷한 정면 얼굴 사진을 써 보세요.",
  ],
  [
    /^the face is partly covered or turned away/,
    "얼굴이 일부 가려졌거나 옆을 보고 있어, 같은 사람인지는 잴 수 없습니다. 얼굴 전체가 보이는 정면 사진을 써 보세요.",
  ],
  [
    /^the clip's shape cannot hold all (\d+) faces, so (\d+) of them/,
    "이 화면 비율에는 얼굴 $1개를 모두 담을 수 없어 $2개가 잘리거나 빠집니다. 다른 비율을 고르거나 사진을 직접 잘라 주세요.",
  ],
  [/^the picture seems to be upside down/, "사진이 거꾸로 된 것 같습니다. 돌려서 다시 올려 주세요."],
  [/^the picture seems to lie on its side/, "사진이 옆으로 누운 것 같습니다. 돌려서 다시 올려 주세요."],
  [
    /^the part chosen has another shape than the clip, so more/,
    "고른 부분의 비율이 영상과 달라 사진을 조금 더 보여 드립니다.",
  ],
  [
    /^the part chosen has another shape than the clip, and the picture has no more/,
    "고른 부분의 비율이 영상과 달라 조금 잘랐습니다.",
  ],
  [
    /^the part chosen shows no face/,
    "고른 부분에 얼굴이 없어 같은 사람인지는 잴 수 없습니다. 얼굴이 보이게 옮겨 주세요.",
  ],
  [
    /^the picture is HDR \((PQ|HLG)\)/,
    "HDR($1) 사진이라 밝은 부분을 일반 화면에 맞게 줄였습니다. 직접 정하려면 SDR로 내보내 주세요.",
  ],
  [
    /^the picture gives (\S+) for a (\S+) clip: it will be enlarged ([\d.]+)×.*at least (\S+)$/,
    "사진에서 쓸 수 있는 부분이 $1이어서 $2 영상으로 키우면($3배) 흐려 보입니다. $4 이상의 사진을 쓰면 좋습니다.",
  ],
  [
    /^the clip's shape cannot hold the whole head/,
    "이 화면 비율에는 머리 전체가 들어가지 않아 머리카락이나 턱이 잘립니다. 머리 주위에 여백이 있는 사진이나 다른 비율을 써 보세요.",
  ],
  [
    /^the picture is CMYK without a colour profile/,
    "색 프로필이 없는 CMYK 사진이라 색이 다를 수 있습니다. sRGB로 저장해 쓰시면 확실합니다.",
  ],
  [/^the picture's colour profile is ignored/, "사진의 색 프로필을 읽을 수 없어 sRGB로 보았습니다."],
  [/^The camera moves and the person does not\.$/, "사람이 아니라 카메라가 움직입니다."],
  [
    /^The prompt and the negative prompt have no effect on the camera engine\.$/,
    "카메라 엔진은 프롬프트를 쓰지 않습니다.",
  ],
  [/^No face was found, so the picture moves as one plane/, "얼굴을 찾지 못해 사진 전체가 한 장처럼 움직입니다."],
  [/^The picture moves as one plane, without parallax/, "인물과 배경을 나누지 못해 사진 전체가 한 장처럼 움직입니다."],
  [
    /^The person breathes, blinks and turns a little: a 2\.5-D puppet/,
    "인물이 숨 쉬고, 눈을 깜빡이고, 조금 움직입니다. 생성 모델 없이 사진의 픽셀만 움직입니다.",
  ],
  [
    /^The person breathes and turns a little: a 2\.5-D puppet/,
    "인물이 숨 쉬고 조금 움직입니다. 눈은 깜빡이지 않습니다. 생성 모델 없이 사진의 픽셀만 움직입니다.",
  ],
  [
    /^The prompt only chooses a preset; the negative prompt has no effect on the living engine\.$/,
    "프롬프트는 움직임의 종류만 고르고, ‘나오면 안 되는 것’은 효과가 없습니다.",
  ],
  [/^No face was found, so the clip was made by the camera engine\.$/, "얼굴을 찾지 못해 카메라 엔진으로 만들었습니다."],
  [
    /^No face could be brought to life, so the clip was made by the camera engine\.$/,
    "움직일 수 있는 얼굴이 없어 카메라 엔진으로 만들었습니다.",
  ],
  [/^The background moves with the person/, "인물과 배경을 나누지 못해 배경이 함께 움직입니다."],
  [/^Parts of the outline are unclear/, "윤곽이 분명하지 않은 부분은 움직이지 않습니다."],
  [/^Preset (\S+), from “(.+)” in the prompt\.$/, "프롬프트의 “$2”에 따라 $1 움직임을 골랐습니다."],
  [/^Preset (\S+), (?:as asked|the default)\.$/, "$1 움직임입니다."],
  [/^Parallax was switched off/, "원근 효과를 꺼서 사진 전체가 한 장처럼 움직입니다."],
  [/^The fake engine only shifts the picture/, "시험용 엔진이라 사진을 옆으로 옮기기만 합니다."],
  [
    /^The picture shows more than one person \((\d+) more\); the largest face was followed\.$/,
    "사진에 다른 사람이 $1명 더 있어 가장 큰 얼굴을 따라갔습니다.",
  ],
  [
    /^The picture shows no face that can be found/,
    "입력 사진에서 얼굴을 찾지 못했습니다. 같은 사람인지는 이 결과로 알 수 없습니다.",
  ],
  [
    /^The file announces (\d+) frames and (\d+) could be decoded\.$/,
    "파일에는 $1프레임이라고 되어 있으나 $2프레임만 읽혔습니다.",
  ],
  [
    /^The clip is longer than one pass of the model: (\d+) passes are joined in frames (.+)\.$/,
    "한 번에 만들 수 있는 길이보다 길어 $1번에 나누어 만들고 $2 프레임에서 이었습니다.",
  ],
  [/^The negative prompt has no effect/, "이 설정에서는 ‘나오면 안 되는 것’이 효과가 없습니다."],
  [
    /^The distilled LoRA was added to the model that is distilled already/,
    "이미 증류된 모델에 증류 LoRA를 더했습니다. 원본(dev) 모델에 쓰도록 만든 것입니다.",
  ],
  [/^The prompt is empty/, "프롬프트가 비어 있습니다. 움직임을 적지 않으면 거의 움직이지 않을 수 있습니다."],
  [/^An earlier clip ran out of GPU memory/, "앞선 영상에서 그래픽 메모리가 부족해 더 작은 설정으로 만들었습니다."],
  [/^The weights are random/, "가중치가 무작위라 화면이 노이즈입니다. 속도 시험용입니다."],
];

export const isAboutNoFace = (sentence) => sentence.startsWith("no face was found");

// Returns { text, lang } as attributes of an element.
export function translatedNote(sentence) {
  if (language() === "ko") {
    for (const [pattern, korean] of KOREAN) {
      const found = pattern.exec(sentence);
      if (found) return { text: korean.replace(/\$(\d)/g, (_, n) => found[n] ?? ""), lang: "ko" };
    }
  }
  const text = String(sentence);
  return { text: text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : "."), lang: "en" };
}
